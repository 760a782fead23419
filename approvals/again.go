package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/render"
)

// A parked session goes on when somebody has decided. An approval of one is taken together with its start, or not at all: what
// stands in the way is found out before, and the decision's own transaction makes the session run. What was approved while a
// session was still alive, and has not run when it is parked, starts by itself at once; where that cannot be, or cannot be any
// more when a gateway that was killed comes back, it waits for a human again. So nothing starts for an approval on a
// later day. One that the script does not come to, since it waits for something else, is used when that is decided.

// ErrUnable is for an approval that could not be carried out now. Nothing was decided.
var ErrUnable = errors.New("it cannot be carried out now")

// errParked is for a session that was parked while a decision on it as one that is alive was under way.
var errParked = errors.New("the session has just been parked")

// release gives back what is still held.
func (p *prepared) release() {
	for _, place := range p.places {
		place.Release()
	}
	clear(p.places)
	for _, release := range p.claims {
		release()
	}
	clear(p.claims)
}

// prepare finds out how the parked ones of some sessions would go on. Nobody else lets them go on until release.
func (r *resumer) prepare(ctx context.Context, ids []string) *prepared {
	p := &prepared{runs: map[string]Rerun{}, unable: map[string]error{}, claims: map[string]func(){}, places: map[string]*places.Place{}}
	var parked []journal.Session
	for _, id := range slices.Sorted(slices.Values(ids)) { // in one order for everybody
		if s, err := r.m.session(id); err != nil || s.Status != journal.StatusParked {
			continue // the decision says what is wrong, where something is
		}
		release, err := r.m.claim(ctx, id)
		if err != nil {
			p.unable[id] = err
			continue
		}
		s, err := r.m.session(id)
		if err != nil || s.Status != journal.StatusParked { // it has gone on, or ended
			release()
			continue
		}
		p.claims[id] = release
		parked = append(parked, s)
	}
	p.ask(ctx, r.m, parked)
	for _, s := range parked {
		if p.unable[s.ID] != nil {
			continue
		}
		if free := r.m.places.TakeNow(s.Identity, s.ID); free != nil {
			p.places[s.ID] = free
		}
	}
	return p
}

// askedAtOnce is how many targets are asked at a time whether sessions can go on there.
const askedAtOnce = 16

// ask finds out how sessions would go on.
func (p *prepared) ask(ctx context.Context, m *Manager, parked []journal.Session) {
	var mu sync.Mutex
	var all sync.WaitGroup
	free := make(chan struct{}, askedAtOnce)
	for _, s := range parked {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			run, err := m.rerun(ctx, s, false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				p.unable[s.ID] = err
			} else {
				p.runs[s.ID] = run
			}
		})
	}
	all.Wait()
}

// rerun asks how a parked session would go on.
func (r *resumer) rerun(ctx context.Context, s journal.Session, patient bool) (Rerun, error) {
	switch {
	case r.m.isClosing():
		return Rerun{}, journal.ErrShutdown
	case r.m.Obstacle(&s) != "":
		return Rerun{}, errors.New(r.m.Obstacle(&s))
	case r.m.config.Restart == nil:
		return Rerun{}, errors.New("this gateway starts no session again")
	}
	return r.m.config.Restart(ctx, s, patient)
}

// goOn makes a parked session a running one, in the transaction of a decision. errParked where it was not prepared.
func (p *prepared) goOn(s *journal.Session) error {
	if err := p.unable[s.ID]; err != nil {
		return fmt.Errorf("session %s: %w, nothing was decided: %w", s.ID, ErrUnable, err)
	}
	if _, ok := p.runs[s.ID]; !ok {
		return errParked
	}
	if p.places[s.ID] != nil {
		return s.Apply(journal.Event{What: journal.Restart})
	}
	return nil
}

// begin starts a session for which a decision was taken with what was prepared. One that has no place starts as soon as it gets one.
func (p *prepared) begin(m *Manager, s journal.Session) error {
	if place := p.places[s.ID]; place != nil {
		err := m.start(s, p.runs[s.ID], place, "")
		if err == nil {
			delete(p.places, s.ID) // it is the session's own
			return nil
		}
		m.stay(s.ID, err)
		return fmt.Errorf("session %s: %w, nothing was decided: %w", s.ID, ErrUnable, err)
	}
	release := p.claims[s.ID]
	delete(p.claims, s.ID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.spawn(func() { m.goOn(s.ID, release) }) {
		p.claims[s.ID] = release // the next gateway sees to it
	}
	return nil
}

// start starts a session that has been made a running one again. Its earlier output is discarded: the script runs from its
// start and takes its operations' results from the journal. Where it cannot be made alive it is parked as before.
func (r *resumer) start(s journal.Session, run Rerun, place *places.Place, notice string) error {
	r.m.mu.Lock()
	delete(r.m.parked, s.ID)
	r.m.mu.Unlock()
	l, err := r.m.enliven(context.WithoutCancel(r.m.closed), s, run.Target, place, true)
	if err != nil {
		return errors.Join(err, r.repark(s))
	}
	if notice != "" {
		l.Notice("%s", render.Stored(notice))
	}
	run.Start(l)
	return nil
}

// repark makes a session parked again that was to start.
func (r *resumer) repark(s journal.Session) error {
	s, err := r.m.config.Store.Update(s.ID, func(s *journal.Session) error {
		if s.Status != journal.StatusRunning {
			return fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, s.ID, s.Status)
		}
		return s.Apply(r.m.rules.Load().Parking(s, r.m.config.Now()))
	})
	if err != nil {
		return err
	}
	r.m.mu.Lock()
	r.m.parked[s.ID] = parkedSession{identity: s.Identity, target: s.Target, deadline: s.Deadline}
	r.m.mu.Unlock()
	return nil
}

// goOnSoon lets a parked session start again for a decision that was taken before, once its script has ended and nobody else is about
// to let it go on.
func (r *resumer) goOnSoon(id string) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.goOnSoonLocked(id)
}

// ended takes a session out of the living. A parked one starts again at once where something of it was approved already. done is
// called once nothing of the session goes on.
func (r *resumer) ended(id string, parked *journal.Session) (done func()) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	l := r.m.live[id]
	delete(r.m.live, id)
	l.place.Release()
	close(l.gone)
	if parked != nil {
		r.m.parked[id] = parkedSession{identity: parked.Identity, target: parked.Target, deadline: parked.Deadline}
		if parked.GoesOn {
			r.goOnSoonLocked(id)
		}
	}
	return r.m.work.Done
}

// goOnSoonLocked is goOnSoon for a caller that holds m.mu.
func (r *resumer) goOnSoonLocked(id string) {
	if r.m.closing {
		return // the next gateway sees to it
	}
	if r.m.live[id] == nil && r.m.going[id] == nil {
		release := r.m.claimLocked(id)
		r.m.spawn(func() { r.goOn(id, release) })
		return
	}
	r.m.spawn(func() {
		for r.m.closed.Err() == nil {
			if release, err := r.m.claim(r.m.closed, id); err == nil {
				r.goOn(id, release)
				return
			}
		}
	})
}

// goOn starts a parked session again for a decision that was taken before. Where that cannot be, nothing of it is approved any more.
// The caller has claimed the session.
func (r *resumer) goOn(id string, release func()) {
	defer release()
	s, err := r.m.session(id)
	if err != nil || s.Status != journal.StatusParked || !s.GoesOn && s.Waits() || r.m.isClosing() {
		return
	}
	var place *places.Place
	began := false // the place is the session's own
	run, err := r.rerun(r.m.closed, s, true)
	if err == nil {
		if place = r.m.places.TakeNow(s.Identity, id); place == nil {
			if place, err = r.m.places.Take(r.m.closed, places.Want{Identity: s.Identity, Session: id}); err != nil {
				return // it was cancelled, or the next gateway sees to it
			}
			run, err = r.rerun(r.m.closed, s, false) // as it is by now
		}
		defer func() {
			if !began {
				place.Release()
			}
		}()
	}
	if r.m.isClosing() {
		return
	}
	notice := ""
	if err == nil {
		s, err = r.m.config.Store.Update(id, func(s *journal.Session) error {
			if s.Status != journal.StatusParked {
				return fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, id, s.Status)
			}
			if s.Damage != "" {
				return errors.New("it is damaged: " + s.Damage)
			}
			notice = unused(s)
			return s.Apply(journal.Event{What: journal.Restart})
		})
		switch {
		case errors.Is(err, journal.ErrNotWaiting):
			return // it was cancelled, or has expired
		case err == nil:
			err = r.start(s, run, place, notice)
			began = err == nil
		}
		if err == nil || r.m.isClosing() { // the next gateway sees to it
			return
		}
	}
	r.m.config.Log.Warn("a parked session cannot go on", "session", id, "error", err)
	r.stay(id, err)
}

// unused says which decisions a session goes on for that were taken before and not used, "" where there are none.
func unused(s *journal.Session) string {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == journal.Approved && o.Started.IsZero() {
			return fmt.Sprintf("starts again: operation %d was approved by %s at %s and had not run", o.N, render.Line(o.By), o.Decided.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// stay takes back what was approved in a parked session that cannot go on: it waits again. A session in which nothing waits then has
// ended.
func (r *resumer) stay(id string, why error) {
	now := r.m.config.Now()
	s, err := r.m.config.Store.Update(id, func(s *journal.Session) error {
		if s.Status != journal.StatusParked {
			return journal.ErrNotWaiting
		}
		if err := s.Apply(journal.Event{What: journal.Unschedule}); err != nil {
			return err
		}
		if _, err := reopen(s, render.Line(why.Error()).String(), time.Time{}); err != nil || s.Waits() {
			return err
		}
		status, exit, reason := journal.StatusFailed, journal.ExitUnreachable, "it cannot go on: "+render.Line(why.Error()).String()
		if said, ok := s.Rejection(); ok {
			status, exit, reason = journal.StatusRejected, journal.ExitNotPermitted, said
		}
		return s.Apply(journal.EndEvent(status, exit, reason, now))
	})
	switch {
	case errors.Is(err, journal.ErrNotWaiting):
		return
	case err != nil:
		r.m.config.Log.Error("take back what cannot be carried out", "session", id, "error", err)
		return
	case s.Status == journal.StatusParked:
		r.m.publish(events.About(&s), events.Waiting, "")
		return
	}
	r.m.mu.Lock()
	delete(r.m.parked, id)
	r.m.mu.Unlock()
	r.m.publish(events.About(&s), events.Ended, "")
}

// reopen takes back the approvals of a session that have not been used, all that were given before some time, or all where that is
// zero. It reports whether there was one.
func reopen(s *journal.Session, why string, before time.Time) (any bool, err error) {
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Decision != journal.Approved || !o.Started.IsZero() || !before.IsZero() && !o.Decided.Before(before) {
			continue
		}
		if err := o.Apply(journal.Event{What: journal.Reopen, Reason: why}); err != nil {
			return any, err
		}
		any = true
	}
	return any, nil
}
