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
	case m.help != nil:
		m.help.scroll(n)
	case m.dialog != nil:
		m.dialog.scroll(n)
	case m.reading() != nil:
		m.reading().scroll(n)
	case m.session != nil:
		m.session.at = max(min(m.session.at+n/wheelRows, len(m.session.session.Operations)-1), 0)
	default:
		m.inbox.move(n / wheelRows)
	}
}

// click selects the row of a list that was clicked on, and opens the one that is selected already. A click never
// decides anything: there is nothing to aim at while the screen moves.
func (m *model) click(e tea.MouseClickMsg) tea.Cmd {
	row := e.Y - len(m.head())
	if m.tooSmall() || m.help != nil || m.dialog != nil || row < 0 || row >= m.bodyHeight() {
		return nil
	}
	switch {
	case m.session == nil:
		i := m.inbox.first + row/m.inbox.height(m.width)
		if i >= len(m.inbox.shown) {
			return nil
		}
		if i == m.inbox.at {
			return m.open(m.inbox.selected, false)
		}
		m.inbox.move(i - m.inbox.at)
	case m.session.view == nil && m.session.pane == paneOperations:
		i := m.session.first + row/2
		if i >= len(m.session.session.Operations) {
			return nil
		}
		if i == m.session.at {
			return m.session.openOperation(m, i)
		}
		m.session.at = i
	}
	return nil
}
