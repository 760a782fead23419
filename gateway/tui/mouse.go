package tui

import tea "charm.land/bubbletea/v2"

// wheelRows is how far one step of the wheel goes.
const wheelRows = 3

// wheel scrolls what is on the screen. It never does more than keys that scroll.
func (m *model) wheel(e tea.MouseWheelMsg) {
	n := wheelRows
	if e.Button == tea.MouseWheelUp {
		n = -n
	}
	switch {
	case m.tooSmall():
	case m.dialog != nil:
		m.dialog.scroll(n)
	case m.top().text() != nil:
		m.top().text().scroll(n)
	default:
		m.top().move(n / wheelRows)
	}
}

// click selects the row of a list that was clicked on, and opens the one that is selected already. A click never
// decides anything: there is nothing to aim at while the screen moves.
func (m *model) click(e tea.MouseClickMsg) tea.Cmd {
	row := e.Y - len(m.top().head(m))
	if m.tooSmall() || m.dialog != nil || row < 0 || row >= m.bodyHeight() {
		return nil
	}
	return m.top().click(m, row)
}

// click selects a session, or opens the one that is selected.
func (b *inbox) click(m *model, row int) tea.Cmd {
	i := b.first + row/b.height(m.width)
	if i >= len(b.shown) {
		return nil
	}
	if i == b.at {
		return m.open(b.selected, false)
	}
	b.move(i - b.at)
	return nil
}

// click selects an operation, or opens the one that is selected.
func (v *sessionView) click(m *model, row int) tea.Cmd {
	i := v.first + row/2
	if v.pane != paneOperations || i >= len(v.session.Operations) {
		return nil
	}
	if i == v.at {
		return v.openOperation(m, i)
	}
	v.at = i
	return nil
}
