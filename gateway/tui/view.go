package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// view is a page of the screen: the list, a session, an operation. The model routes keys, the mouse and drawing to the page on
// top and knows nothing else about it.
//
// To add a page, write a type with these methods in a file of its own and a key that calls model.show with it; its own back key
// calls model.back. What it reads from the backend it reads beside the screen: surroundings.work.command with a message that has
// the method take, which Bubble Tea's loop calls. A page of rows embeds lists, one that is a text embeds scrolls: they have the methods that
// such a page does not need. helpView is the smallest page, operationView one that is
// read, inbox one of rows. What the human has to answer before anything
// else is no page but a question (dialog.go).
type view interface {
	// head are the rows at the top of the screen.
	head(m *model) []line
	// text is what scrolls and notes what was read of it; nil for a page that is a list of rows.
	text() *page
	// prompt is a line that the human types into on this page; nil where there is none. While it is open keys are text. That of a
	// text, which looks for a word in it, is the text's own.
	prompt() *prompt
	// fit is called before every drawing, to draw anew for the window what does not wrap by itself.
	fit(m *model)
	// body are the rows of a list, at most height.
	body(m *model, height int) []line
	// key handles a key that nothing else took.
	key(m *model, k tea.KeyPressMsg) tea.Cmd
	// move moves the selection of a list by rows.
	move(rows int)
	// click selects the row of a list, counted from the first in the window, or opens what is selected already.
	click(m *model, row int) tea.Cmd
	// status says above the keys where things stand.
	status(m *model) []line
	// keys are those for the last row, the most important first.
	keys(m *model) []key.Binding
	// help are all keys of the page.
	help() *page
}

// message is what comes to Bubble Tea's loop of the screen's own doing: the answer to a question to the backend, or a time that
// is over.
type message interface {
	take(m *model) tea.Cmd
}

// top is the page that is on the screen.
func (m *model) top() view {
	switch {
	case len(m.pages) > 0:
		return m.pages[len(m.pages)-1]
	case m.session == nil:
		return &m.inbox
	case m.session.view != nil:
		return m.session.view
	case m.session.review != nil:
		return m.session.review
	}
	return m.session
}

// show puts a page on top of what is on the screen.
func (m *model) show(v view) {
	if p := m.top().text(); p != nil {
		p.covered()
	}
	m.pages = append(m.pages, v)
}

// back takes away the page that show has put on top last.
func (m *model) back() { m.pages = m.pages[:max(len(m.pages)-1, 0)] }

// typing is the prompt that keys are typed into, nil where keys are keys.
func (m *model) typing() *prompt {
	if m.dialog != nil {
		return nil
	}
	if p := m.top().text(); p != nil && p.find.open {
		return &p.find.prompt
	}
	if p := m.top().prompt(); p != nil && p.open {
		return p
	}
	return nil
}

// scrolls are the methods of a page that is a text, and no list.
type scrolls struct{}

func (scrolls) prompt() *prompt           { return nil }
func (scrolls) fit(*model)                {}
func (scrolls) body(*model, int) []line   { return nil }
func (scrolls) move(int)                  {}
func (scrolls) click(*model, int) tea.Cmd { return nil }

// lists are the methods of a page that is a list of rows, and no text.
type lists struct{}

func (lists) text() *page { return nil }
func (lists) fit(*model)  {}
