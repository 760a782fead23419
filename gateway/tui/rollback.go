package tui

import (
	"errors"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/rollback"
)

// canRollBack reports whether the session has ended and has changed files, and somebody else asked for that.
func canRollBack(s *journal.Session, me journal.Identity) bool {
	return s.Status.Final() && s.Status != journal.StatusRolledBack && !s.OwnedBy(me) && slices.ContainsFunc(s.Operations, func(op journal.Operation) bool {
		return op.File != nil && op.Kind != journal.RollbackKind && op.Decision == journal.Approved && !op.Started.IsZero()
	})
}

// stays is how many commands of a session ran: what they did is not undone by restoring its files.
func stays(s *journal.Session) int {
	n := 0
	for i := range s.Operations {
		if op := &s.Operations[i]; op.Command != nil && !op.Started.IsZero() {
			n++
		}
	}
	return n
}

// rollsBack says behind "rolled back" what that does not undo.
func rollsBack(s *journal.Session) line {
	if n := stays(s); s.Status == journal.StatusRolledBack && n > 0 {
		return format(toneCaution, ": its files; what %d of its commands did is still there", n)
	}
	return nil
}

// rollbackDialog shows what a rollback would do, and does it once the human has read that. It overwrites what has changed
// since only where they say so and type the target's name.
type rollbackDialog struct {
	id     string
	target string
	page   *page
	stays  int // commands whose work is not undone
	steps  []rollback.Step
	force  bool
	field  field
	busy   bool // the backend has been asked
	err    line
}

// rollbackMsg is the backend's answer: to the plan, or to the rollback itself.
type rollbackMsg struct {
	to    *rollbackDialog
	plan  bool
	steps []rollback.Step
	err   error
}

// askRollback asks the backend for the plan.
func (v *sessionView) askRollback(m *model) tea.Cmd {
	s := &v.session
	switch {
	case s.OwnedBy(m.me):
		m.say(own(toneCaution, "Your own session: another approver decides."))
		return nil
	case !s.Status.Final():
		m.say(own(toneCaution, "It has not ended; cancel it first."))
		return nil
	case s.Status == journal.StatusRolledBack:
		m.say(own(toneCaution, "It was rolled back already."))
		return nil
	}
	d := &rollbackDialog{id: s.ID, stays: stays(s), target: s.Target, page: newPage(), field: field{limit: len(s.Target) + 16}, busy: true}
	d.draw()
	m.dialog = d
	return d.ask(m, true)
}

func (d *rollbackDialog) ask(m *model, plan bool) tea.Cmd {
	force := d.force
	return m.work.command(func() tea.Msg {
		steps, err := m.backend.Rollback(m.ctx, d.id, m.me, force, plan)
		return rollbackMsg{d, plan, steps, err}
	})
}

// take takes the backend's answer.
func (msg rollbackMsg) take(m *model) tea.Cmd {
	d := msg.to
	if m.dialog != question(d) {
		return m.refresh()
	}
	d.busy = false
	switch {
	case msg.err != nil && errors.Is(msg.err, rollback.ErrNothing), msg.err != nil && msg.plan:
		m.dialog = nil
		m.say(join(own(toneCaution, "Nothing was rolled back: "), shown(tonePlain, msg.err.Error())))
	case msg.err != nil:
		d.steps, d.err, d.field.text = msg.steps, join(own(toneDanger, "Not rolled back: "), shown(tonePlain, msg.err.Error())), ""
		d.draw()
	case msg.plan && len(msg.steps) == 0:
		m.dialog = nil
		m.say(own(tonePlain, "Everything is as it was already."))
	case msg.plan:
		d.steps = msg.steps
		d.draw()
	default:
		m.dialog = nil
		m.say(format(toneSafe, "Rolled back: %d steps on files.", len(msg.steps)))
		if d.stays > 0 {
			m.say(join(m.note, format(toneCaution, " NOT undone: what the %d commands that ran did themselves.", d.stays)))
		}
	}
	return m.refresh()
}

// draw writes the plan anew.
func (d *rollbackDialog) draw() {
	p := newPage()
	p.addProse(nil, join(own(toneStrong, "Roll back session "), shown(toneStrong, d.id), own(toneStrong, " on "), shown(toneStrong, d.target), own(toneStrong, "?")))
	if d.busy {
		p.addProse(nil, own(toneDim, "Asking the gateway…"))
	}
	for i, s := range d.steps {
		p.add(format(toneDim, "%4d  ", i+1), line{{tonePlain, s.Summary}})
		if s.Problem.Empty() {
			continue
		}
		p.addProse(own(toneDanger, "    ! "), line{{toneDanger, s.Problem}})
	}
	if d.stays > 0 && !d.busy {
		p.addProse(nil, format(toneCaution, "This restores files. NOT undone: what the %d commands that ran did themselves.", d.stays))
	}
	if d.err != nil {
		p.addProse(nil, d.err)
	}
	switch {
	case d.busy:
	case d.stuck() && !d.force:
		p.addProse(nil, own(toneCaution, "Files have changed since. Nothing is done unless F overwrites them where that is possible."))
	case d.force:
		p.addProse(nil, join(own(toneDanger, "What others have changed since is overwritten. Type the target's name, "), shown(toneStrong, d.target), own(toneDanger, ", to do it:")))
	}
	p.addProse(nil, own(toneDim, "── end of the plan ──"))
	d.page.replace(p)
}

// stuck reports whether something stands in the way.
func (d *rollbackDialog) stuck() bool {
	return slices.ContainsFunc(d.steps, func(s rollback.Step) bool { return !s.Problem.Empty() })
}

// key handles a key while the dialog is open.
func (d *rollbackDialog) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case d.busy:
		return nil
	case key.Matches(k, keyCancel), !d.force && key.Matches(k, keyNo):
		m.dialog = nil
		return nil
	case k.Code == tea.KeyPgUp, k.Code == tea.KeyPgDown, k.Code == tea.KeyUp, k.Code == tea.KeyDown:
		d.page.key(k)
		return nil
	case d.force && key.Matches(k, keyEnter):
		if d.field.text != d.target {
			m.say(own(toneDanger, "That is not the target's name."))
			return nil
		}
		return d.confirm(m)
	case d.force:
		d.field.key(k)
		return nil
	case key.Matches(k, keyForce) && d.stuck():
		d.force = true
		d.draw()
		return nil
	case key.Matches(k, keyYes) && !d.stuck():
		return d.confirm(m)
	}
	d.page.key(k)
	return nil
}

func (d *rollbackDialog) confirm(m *model) tea.Cmd {
	if !d.page.allSeen() {
		m.say(own(toneCaution, "Not yet: page down shows the rest of the plan."))
		return nil
	}
	d.busy, d.err = true, nil
	return d.ask(m, false)
}

func (d *rollbackDialog) isBusy() bool { return d.busy }

func (d *rollbackDialog) paste(text string) {
	if d.force {
		d.field.insert(text)
	}
}

func (d *rollbackDialog) scroll(rows int) { d.page.scroll(rows) }

// layout implements covering.
func (d *rollbackDialog) layout(m *model, height int) time.Duration {
	if d.force {
		height--
	}
	d.page.layout(m.width, max(height, 1))
	return d.page.markSeen(m.now(), m.pace.Read)
}

// window is the part of the plan that is on the screen, and what is typed.
func (d *rollbackDialog) window(*model, int) []line {
	lines := d.page.window()
	if d.force {
		lines = append(lines, join(own(toneKey, "> "), shown(tonePlain, d.field.text), own(toneKey, "█")))
	}
	return lines
}

func (d *rollbackDialog) footer(width int) line {
	space := own(tonePlain, "  ")
	switch {
	case d.busy:
		return nil
	case d.force:
		return join(keyWords(keyEnter), space, keyWords(keyCancel)).fit(width)
	case d.stuck():
		return join(keyWords(keyForce), space, keyWords(keyNo), space, keyWords(keyPage)).fit(width)
	}
	return join(own(toneKey, "y"), own(tonePlain, " roll back"), space, keyWords(keyNo), space, keyWords(keyPage)).fit(width)
}
