package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/render"
)

// helpView lists the keys of the page below it.
type helpView struct {
	scrolls
	of   view // which is below it
	page *page
}

// helping reports whether the keys are listed.
func (m *model) helping() bool {
	_, ok := m.top().(*helpView)
	return ok
}

// text implements view.
func (h *helpView) text() *page { return h.page }

// head is that of the page whose keys these are.
func (h *helpView) head(m *model) []line { return h.of.head(m) }

// key implements view.
func (h *helpView) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	if key.Matches(k, keyBack) || key.Matches(k, keyHelp) {
		m.back()
	} else {
		h.page.key(k)
	}
	return nil
}

// status implements view.
func (*helpView) status(*model) []line { return nil }

// keys implements view.
func (*helpView) keys(*model) []key.Binding { return []key.Binding{keyBack, keyPage} }

// help implements view.
func (h *helpView) help() *page { return h.page }

// helpPage lists keys with what they do.
func helpPage(title render.Words, bindings []key.Binding) *page {
	p := newPage()
	p.addProse(nil, own(toneStrong, title))
	for _, b := range bindings {
		p.addProse(padded(toneKey, render.Line(b.Help().Key), 8), shown(tonePlain, b.Help().Desc))
	}
	p.addProse(nil, nil)
	for _, s := range reminders {
		p.addProse(nil, own(tonePlain, s))
	}
	return p
}

// reminders are what a human has to know to read this screen.
var reminders = []render.Words{
	"Approve is off until all of an operation has been on the screen. What you approve is what you were shown: its digest goes with your decision.",
	"Characters that a terminal would obey or hide are written as escapes such as \\x1b or \\u202e, and a backslash is doubled.",
	"↳ continues the row above. … marks what does not fit; open it to see all of it.",
	"“Words in quotes” in the list are the agent's own and prove nothing.",
}
