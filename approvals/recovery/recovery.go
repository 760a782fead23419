// Package recovery brings the records that an earlier gateway has left to a state that this one can vouch for: what was held is
// parked, what ran has failed, and what was started without a result is unknown, unless a look at the target tells. It runs once,
// at a start, and never runs anything itself.
package recovery

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
)

// Store keeps sessions, as far as a recovery needs it.
type Store interface {
	// Sessions returns those that match, without their scripts; unless all, only those that have not ended.
	Sessions(all bool, match func(*journal.Session) bool) ([]journal.Session, error)
	// UpdateAll changes several sessions in one durable transaction: all, or none.
	UpdateAll(ids []string, change func([]*journal.Session) error) ([]journal.Session, error)
	// Check writes and reads, to show whether that works now.
	Check() error
}

// Config is what a recovery needs.
type Config struct {
	Store Store
	Look  *change.Look
	Log   *slog.Logger
	Now   func() time.Time
	Rules *gate.Rules // those that sessions are parked by
	// Restarts says that a parked session can be started again.
	Restarts bool
	// Parked takes up a session that is parked; goesOn says that it starts again by itself.
	Parked func(s *journal.Session, goesOn bool)
}

// Run brings what an earlier gateway has left to a state that this one can vouch for. It never runs anything. What it asks targets
// for ends with ctx.
func Run(ctx context.Context, c Config) error {
	return (&recovery{c, c.Now()}).run(ctx)
}

// recovery brings what an earlier gateway has left to a state that this one can vouch for.
type recovery struct {
	Config
	now time.Time
}

// run brings the store to a state that this process can vouch for.
func (r *recovery) run(ctx context.Context) error {
	open, err := r.Store.Sessions(false, func(*journal.Session) bool { return true })
	if err != nil {
		return err
	}
	// Most are parked and stay as they are: a start must not write each of them.
	var changed []string
	found := map[string]change.Answers{}
	for i := range open {
		o := &open[i]
		answers, after := r.resolved(ctx, o), o.Clone()
		if _, err := r.recoverSession(&after, answers); err != nil {
			r.Log.Error("a session is left as it is; shannot-gateway store check may say more", "session", o.ID, "error", err)
			continue
		}
		if reflect.DeepEqual(after, *o) {
			r.takeUp(o)
			continue
		}
		changed = append(changed, o.ID)
		found[o.ID] = answers
	}
	for ids := range slices.Chunk(changed, recoveredAtOnce) {
		if err := r.changeAll(ids, found); err != nil {
			return err
		}
	}
	return nil
}

// changeAll brings sessions up to date in one transaction. Where that cannot be, each has one of its own, so that one whose record
// cannot be changed is left as it is and the rest goes on. An error means that the store takes no change at all.
func (r *recovery) changeAll(ids []string, found map[string]change.Answers) error {
	all, err := r.Store.UpdateAll(ids, func(all []*journal.Session) error {
		for _, s := range all {
			why, err := r.recoverSession(s, found[s.ID])
			if err != nil {
				return err
			}
			if why != "" {
				r.Log.Warn("an approval is taken back: "+why, "session", s.ID)
			}
		}
		return nil
	})
	if err == nil {
		for i := range all {
			r.takeUp(&all[i])
		}
		return nil
	}
	if err := r.Store.Check(); err != nil {
		return err
	}
	if len(ids) == 1 {
		r.Log.Error("a session is left as it is; shannot-gateway store check may say more", "session", ids[0], "error", err)
		return nil
	}
	for i := range ids {
		if err := r.changeAll(ids[i:i+1], found); err != nil {
			return err
		}
	}
	return nil
}

// recoveredAtOnce is how many sessions are changed in one transaction at a start.
const recoveredAtOnce = 500

// takeUp takes a session that is parked into the manager's own table, and starts it again where a decision says so.
func (r *recovery) takeUp(s *journal.Session) {
	if s.Status != journal.StatusParked {
		return
	}
	late := !s.Deadline.IsZero() && !r.now.Before(s.Deadline)
	r.Parked(s, r.Restarts && !late && (s.GoesOn || !s.Waits()))
}

// recoverSession decides what became of a session whose gateway died. It says why it took an approval back, if it did.
func (r *recovery) recoverSession(s *journal.Session, answers change.Answers) (takenBack string, err error) {
	s.Placed = nil
	unknown, err := recoverOperations(s, r.now, answers)
	if err != nil {
		return "", err
	}
	switch {
	case unknown:
		return "", s.Apply(journal.EndEvent(journal.StatusFailed, journal.ExitFault, "the gateway stopped while an operation was under way; whether it took effect is not known", r.now))
	case s.Plan && s.Status == journal.StatusParked: // by an earlier program, which would have run it
		return "", s.Apply(journal.EndEvent(journal.StatusPlanned, 0, "a plan is never approved: ask for the same without --plan", r.now))
	case r.Restarts && !s.Interactive && !s.Plan && (s.Status == journal.StatusParked || s.Waits() || s.ApprovedNotStarted() || answers.AnyMade()):
		return recoverParked(s, r.now, r.Rules, answers)
	}
	return "", s.Apply(journal.EndEvent(journal.StatusFailed, journal.ExitFault, "the gateway stopped while it ran", r.now))
}

// recoverOperations says of what was under way what is known of it by now. unknown is whether there is one of which nothing is.
func recoverOperations(s *journal.Session, now time.Time, answers change.Answers) (unknown bool, err error) {
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.State() != journal.StateRunning {
			continue
		}
		switch answers[o.N] {
		case change.WasMade:
			err = o.Apply(journal.Event{What: journal.Finish, At: now})
		case change.NotMade:
			err = o.Apply(journal.Event{What: journal.NotMade}) // it is still approved
		case change.NotKnown:
			err, unknown = o.Apply(journal.Event{What: journal.Interrupt}), true
		}
		if err != nil {
			return unknown, err
		}
	}
	return unknown, nil
}

// recoverParked parks a session that can start again. What was to start when the gateway stopped goes on. An approval that was left
// lying, or is old by now, does not. In one that waits for something else too, it is used once that is decided: nothing starts for it
// by itself.
func recoverParked(s *journal.Session, now time.Time, rules *gate.Rules, answers change.Answers) (takenBack string, err error) {
	idle := s.Status == journal.StatusParked && !s.GoesOn && s.Waits() && !answers.AnyMade()
	if s.Status == journal.StatusParked && !s.GoesOn && !idle {
		any, err := s.Reopen("the gateway stopped before", time.Time{})
		if err != nil {
			return "", err
		}
		if any {
			takenBack = "it was never carried out"
		}
	}
	if expire := rules.Limits.Expire; expire > 0 {
		any, err := s.Reopen("the gateway came back too late (limits.expire)", now.Add(-expire))
		if err != nil {
			return "", err
		}
		if any {
			takenBack = "it is too old"
		}
	}
	if s.Status != journal.StatusParked {
		if err := s.Apply(rules.Parking(s, now)); err != nil {
			return "", err
		}
	}
	e := journal.Event{What: journal.Unschedule}
	if !idle && (s.ApprovedNotStarted() || s.GoesOn && !s.Waits() || answers.AnyMade()) {
		e.What = journal.Schedule
	}
	return takenBack, s.Apply(e)
}

// resolved brings a session's interrupted changes to a state that this process can vouch for, and removes what its
// commands were given of scratch.
func (r *recovery) resolved(ctx context.Context, s *journal.Session) change.Answers {
	found := change.Answers{}
	files, done := r.Look.Files(s.Target, s.Identity, s.ID)
	defer done()
	for i := range s.Operations {
		if o := &s.Operations[i]; o.File != nil && !o.Started.IsZero() && o.Finished.IsZero() {
			found[o.N] = r.Look.Resolve(ctx, files, s.ID, o)
		}
	}
	if files != nil && len(s.Placed) > 0 {
		ctx, cancel := context.WithTimeout(ctx, change.LookTime)
		defer cancel()
		names := make([]string, len(s.Placed))
		for i, name := range s.Placed {
			names[i] = string(name)
		}
		for _, left := range change.RemovePlaced(ctx, files, change.ID(s.ID, 0), names) {
			r.Log.Warn("a file of a session's scratch stays on the target", "session", s.ID, "error", left)
		}
	}
	return found
}
