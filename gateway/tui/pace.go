package tui

import (
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// Pace is how much time the screen gives a human, and asks of them.
type Pace struct {
	// Undo is how long a confirmed decision can be undone before it is handed over; 0 for not at all.
	Undo time.Duration
	// Read is how long a row must have been on the screen to count as read; 0 for at once.
	Read time.Duration
	// Settle is how long keys that decide do nothing after the screen has changed by itself; 0 for not at all.
	Settle time.Duration
}

// readMsg says that what is on the screen may have been read by now.
type readMsg struct{}

// take implements message.
func (readMsg) take(m *model) tea.Cmd {
	m.waits = false
	return nil
}

// reader wakes the screen when what is on it has been there for long enough.
type reader struct{ waits bool }

// await returns what wakes the screen after a time; nil where something will already, or nothing has to.
func (r *reader) await(m *model, left time.Duration) tea.Cmd {
	if left <= 0 || r.waits {
		return nil
	}
	r.waits = true
	return m.work.command(func() tea.Msg {
		if !pause(m.ctx, left) {
			return nil
		}
		return readMsg{}
	})
}

// jumped says that the screen has changed without a key of the human's: what they are about to press was meant for what was
// there before.
func (m *model) jumped() { m.dead = m.now().Add(m.pace.Settle) }

// settling reports whether keys that decide do nothing yet.
func (m *model) settling() bool { return m.pace.Settle > 0 && m.now().Before(m.dead) }

// decides reports whether a key may decide something now, or opens a question about it.
func (m *model) decides(k tea.KeyPressMsg) bool {
	switch {
	case m.typing() != nil:
		return false
	case m.dialog != nil:
		return key.Matches(k, keyYes, keyEnter)
	}
	return key.Matches(k, keyOpen, keyApprove, keyReject, keyGrant, keyApproveAll, keyRejectAll, keyNow, keyMark, keyRollback)
}
