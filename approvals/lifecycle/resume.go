package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// A parked session goes on when somebody has decided. An approval of one is taken together with its start, or not at all: what
// stands in the way is found out before, and the decision's own transaction makes the session run. What was approved while a
// session was still alive, and has not run when it is parked, starts by itself at once; where that cannot be, or cannot be any
// more when a gateway that was killed comes back, it waits for a human again. So nothing starts for an approval on a
// later day. One that the script does not come to, since it waits for something else, is used when that is decided.

// Store keeps sessions, as far as they are resumed.
type Store interface {
	// Update changes a session in one durable transaction. An error of change leaves it as it was and is returned as it is.
	Update(id string, change func(*journal.Session) error) (journal.Session, error)
	// Session returns one, or journal.ErrNotFound.
	Session(id string) (journal.Session, error)
}

// Config is what a Resumer needs.
type Config struct {
	Store  Store
	Places *places.Places
	Log    *slog.Logger
	Now    func() time.Time
	// Rules are those of sessions that are parked now.
	Rules func() *gate.Rules
	// Restart says how a parked session would start again now; nil where none can.
	Restart func(ctx context.Context, s journal.Session, patient bool) (Rerun, error)
	// Obstacle says in a few words why a session may not go on, "" where it may.
	Obstacle func(s *journal.Session) string
	// Open makes a recorded session alive, which is not among the sessions yet.
	Open func(ctx context.Context, s *journal.Session, target targets.Target, again bool) (*gate.Live, error)
	// Publish tells whoever looks on.
	Publish func(about events.Subject, kind string)
}

// Resumer lets parked sessions go on.
type Resumer struct {
	config   Config
	sessions *Sessions
}

// NewResumer makes one for sessions.
func NewResumer(c Config, s *Sessions) *Resumer { return &Resumer{c, s} }

// Rerun is the next run of a parked session, about to begin.
type Rerun struct {
	Target targets.Target
	Start  func(*gate.Live) // runs its script; it returns at once
}

// Prepared are the parked ones of the sessions that a decision is about.
type Prepared struct {
	r      *Resumer
	runs   map[string]Rerun
	unable map[string]error         // why one cannot go on
	claims map[string]func()        // that are to be released
	places map[string]*places.Place // of those that have one; the others wait for theirs
}

// ErrUnable is for an approval that could not be carried out now. Nothing was decided.
var ErrUnable = errors.New("it cannot be carried out now")

// errParked is for a session that was parked while a decision on it as one that is alive was under way.
var errParked = errors.New("the session has just been parked")

// release gives back what is still held.
func (p *Prepared) release() {
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
func (r *Resumer) prepare(ctx context.Context, ids []string) *Prepared {
	p := &Prepared{r: r, runs: map[string]Rerun{}, unable: map[string]error{}, claims: map[string]func(){}, places: map[string]*places.Place{}}
	var parked []journal.Session
	for _, id := range slices.Sorted(slices.Values(ids)) { // in one order for everybody
		if s, err := r.config.Store.Session(id); err != nil || s.Status != journal.StatusParked {
			continue // the decision says what is wrong, where something is
		}
		release, err := r.sessions.claim(ctx, id)
		if err != nil {
			p.unable[id] = err
			continue
		}
		s, err := r.config.Store.Session(id)
		if err != nil || s.Status != journal.StatusParked { // it has gone on, or ended
			release()
			continue
		}
		p.claims[id] = release
		parked = append(parked, s)
	}
	p.ask(ctx, r, parked)
	for _, s := range parked {
		if p.unable[s.ID] != nil {
			continue
		}
		if free := r.config.Places.TakeNow(s.Identity, s.ID); free != nil {
			p.places[s.ID] = free
		}
	}
	return p
}

// askedAtOnce is how many targets are asked at a time whether sessions can go on there.
const askedAtOnce = 16

// ask finds out how sessions would go on.
func (p *Prepared) ask(ctx context.Context, r *Resumer, parked []journal.Session) {
	var mu sync.Mutex
	var all sync.WaitGroup
	free := make(chan struct{}, askedAtOnce)
	for _, s := range parked {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			run, err := r.rerun(ctx, s, false)
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
func (r *Resumer) rerun(ctx context.Context, s journal.Session, patient bool) (Rerun, error) {
	switch {
	case r.sessions.Closing():
		return Rerun{}, journal.ErrShutdown
	case r.config.Obstacle(&s) != "":
		return Rerun{}, errors.New(r.config.Obstacle(&s))
	case r.config.Restart == nil:
		return Rerun{}, errors.New("this gateway starts no session again")
	}
	return r.config.Restart(ctx, s, patient)
}

// GoOn makes a parked session a running one, in the transaction of a decision. errParked where it was not prepared.
func (p *Prepared) GoOn(s *journal.Session) error {
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

// Begin starts a session for which a decision was taken with what was prepared. One that has no place starts as soon as it gets one.
func (p *Prepared) Begin(s journal.Session) error {
	r := p.r
	if place := p.places[s.ID]; place != nil {
		err := r.start(s, p.runs[s.ID], place, "")
		if err == nil {
			delete(p.places, s.ID) // it is the session's own
			return nil
		}
		r.stay(s.ID, err)
		return fmt.Errorf("session %s: %w, nothing was decided: %w", s.ID, ErrUnable, err)
	}
	release := p.claims[s.ID]
	delete(p.claims, s.ID)
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	if !r.sessions.spawn(func() { r.goOn(s.ID, release) }) {
		p.claims[s.ID] = release // the next gateway sees to it
	}
	return nil
}

// start starts a session that has been made a running one again. Its earlier output is discarded: the script runs from its
// start and takes its operations' results from the journal. Where it cannot be made alive it is parked as before.
func (r *Resumer) start(s journal.Session, run Rerun, place *places.Place, notice string) error {
	r.sessions.mu.Lock()
	delete(r.sessions.parked, s.ID)
	r.sessions.mu.Unlock()
	l, err := r.Open(context.WithoutCancel(r.sessions.closed), s, run.Target, place, true)
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
func (r *Resumer) repark(s journal.Session) error {
	s, err := r.config.Store.Update(s.ID, func(s *journal.Session) error {
		if s.Status != journal.StatusRunning {
			return fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, s.ID, s.Status)
		}
		return s.Apply(r.config.Rules().Parking(s, r.config.Now()))
	})
	if err != nil {
		return err
	}
	r.sessions.mu.Lock()
	r.sessions.parked[s.ID] = parkedSession{identity: s.Identity, target: s.Target, deadline: s.Deadline}
	r.sessions.mu.Unlock()
	return nil
}

// GoOnSoon starts a parked session again for a decision that was taken before. It waits until the session's script has ended and nobody
// else is about to start it.
func (r *Resumer) GoOnSoon(id string) {
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	r.goOnSoonLocked(id)
}

// Ended takes a session out of the living. A parked one starts again at once where something of it was approved already. done is
// called once nothing of the session goes on.
func (r *Resumer) Ended(id string, parked *journal.Session) (done func()) {
	r.sessions.mu.Lock()
	defer r.sessions.mu.Unlock()
	l := r.sessions.live[id]
	delete(r.sessions.live, id)
	l.place.Release()
	close(l.gone)
	if parked != nil {
		r.sessions.parked[id] = parkedSession{identity: parked.Identity, target: parked.Target, deadline: parked.Deadline}
		if parked.GoesOn {
			r.goOnSoonLocked(id)
		}
	}
	return r.sessions.work.Done
}

// goOnSoonLocked is goOnSoon for a caller that holds r.sessions.mu.
func (r *Resumer) goOnSoonLocked(id string) {
	if r.sessions.closing {
		return // the next gateway sees to it
	}
	if r.sessions.live[id] == nil && r.sessions.going[id] == nil {
		release := r.sessions.claimLocked(id)
		r.sessions.spawn(func() { r.goOn(id, release) })
		return
	}
	r.sessions.spawn(func() {
		for r.sessions.closed.Err() == nil {
			if release, err := r.sessions.claim(r.sessions.closed, id); err == nil {
				r.goOn(id, release)
				return
			}
		}
	})
}

// goOn starts a parked session again for a decision that was taken before. Where that cannot be, nothing of it is approved any more.
// The caller has claimed the session.
func (r *Resumer) goOn(id string, release func()) {
	defer release()
	s, err := r.config.Store.Session(id)
	if err != nil || s.Status != journal.StatusParked || !s.GoesOn && s.Waits() || r.sessions.Closing() {
		return
	}
	var place *places.Place
	began := false // the place is the session's own
	run, err := r.rerun(r.sessions.closed, s, true)
	if err == nil {
		if place = r.config.Places.TakeNow(s.Identity, id); place == nil {
			if place, err = r.config.Places.Take(r.sessions.closed, places.Want{Identity: s.Identity, Session: id}); err != nil {
				return // it was cancelled, or the next gateway sees to it
			}
			run, err = r.rerun(r.sessions.closed, s, false) // as it is by now
		}
		defer func() {
			if !began {
				place.Release()
			}
		}()
	}
	if r.sessions.Closing() {
		return
	}
	notice := ""
	if err == nil {
		s, err = r.config.Store.Update(id, func(s *journal.Session) error {
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
		if err == nil || r.sessions.Closing() { // the next gateway sees to it
			return
		}
	}
	r.config.Log.Warn("a parked session cannot go on", "session", id, "error", err)
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
func (r *Resumer) stay(id string, why error) {
	now := r.config.Now()
	s, err := r.config.Store.Update(id, func(s *journal.Session) error {
		if s.Status != journal.StatusParked {
			return journal.ErrNotWaiting
		}
		if err := s.Apply(journal.Event{What: journal.Unschedule}); err != nil {
			return err
		}
		if _, err := s.Reopen(render.Line(why.Error()).String(), time.Time{}); err != nil || s.Waits() {
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
		r.config.Log.Error("take back what cannot be carried out", "session", id, "error", err)
		return
	case s.Status == journal.StatusParked:
		r.config.Publish(events.About(&s), events.Waiting)
		return
	}
	r.sessions.mu.Lock()
	delete(r.sessions.parked, id)
	r.sessions.mu.Unlock()
	r.config.Publish(events.About(&s), events.Ended)
}

// Prepared approves, with those sessions that are parked prepared to go on.
func (r *Resumer) Prepared(ctx context.Context, ids []string, approve func(*Prepared) ([]journal.Session, error)) ([]journal.Session, error) {
	for {
		p := r.prepare(ctx, ids)
		all, err := approve(p)
		p.release()
		if !errors.Is(err, errParked) {
			return all, err
		}
	}
}

// Shutdown ends all subscriptions, parks what is held, ends what runs, and returns when nothing of that goes on or ctx has ended.
func (r *Resumer) Shutdown(ctx context.Context) error {
	r.sessions.mu.Lock()
	r.sessions.closing = true
	r.config.Places.Close()
	r.sessions.close()
	all := make([]*gate.Live, 0, len(r.sessions.live))
	for _, l := range r.sessions.live {
		all = append(all, l.Live)
	}
	r.sessions.mu.Unlock()
	for _, l := range all {
		if !l.Park() {
			l.Stop(journal.ErrShutdown)
		}
	}
	done := make(chan struct{})
	go func() { r.sessions.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sessions have not ended: %w", ctx.Err())
	}
}

// ExpireParked ends the parked sessions whose time has passed. The gateway calls it from time to time.
func (r *Resumer) ExpireParked() {
	now := r.config.Now()
	var due []string
	r.sessions.mu.Lock()
	for id, p := range r.sessions.parked {
		if !p.deadline.IsZero() && !now.Before(p.deadline) && !r.config.Places.Waits(id) {
			due = append(due, id)
		}
	}
	r.sessions.mu.Unlock()
	for _, id := range due {
		if _, err := r.EndParked(id, journal.StatusExpired, "nobody decided in time"); err != nil {
			r.config.Log.Error("end a parked session", "session", id, "error", err)
		}
	}
}

// EndParked gives a parked session its final status.
func (r *Resumer) EndParked(id string, status journal.Status, reason string) (s journal.Session, err error) {
	now := r.config.Now()
	s, err = r.config.Store.Update(id, func(s *journal.Session) error {
		if s.Status != journal.StatusParked {
			return fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, id, s.Status)
		}
		return s.Apply(journal.EndEvent(status, journal.ExitNotPermitted, reason, now))
	})
	if err != nil {
		return s, err
	}
	r.sessions.mu.Lock()
	delete(r.sessions.parked, id)
	r.config.Places.Drop(id)
	r.sessions.mu.Unlock()
	r.config.Publish(events.About(&s), events.Ended)
	return s, nil
}

// Decided lets a session know of a decision that was taken: one that was alive goes on, and one that was parked starts again, by
// what was prepared for it, or without as soon as it can.
func (r *Resumer) Decided(s *journal.Session, parked bool, p *Prepared) error {
	switch {
	case !parked:
		r.sessions.Wake(s.ID)
	case p != nil:
		return p.Begin(*s)
	default:
		r.GoOnSoon(s.ID)
	}
	return nil
}

// Open makes a recorded session alive, which has the place from then on. Where it fails, the record stays as it is, and the place
// is the caller's.
func (r *Resumer) Open(ctx context.Context, s journal.Session, target targets.Target, place *places.Place, again bool) (*gate.Live, error) {
	l, err := r.config.Open(ctx, &s, target, again)
	if err != nil {
		return nil, err
	}
	if !r.sessions.admit(l, place, again) {
		l.Discard(journal.ErrShutdown)
		return nil, journal.ErrShutdown
	}
	r.config.Publish(events.About(&s), events.Started)
	return l, nil
}

// Parked takes up a session that is parked. goesOn says that it starts again by itself.
func (r *Resumer) Parked(s *journal.Session, goesOn bool) {
	r.sessions.mu.Lock() // one that was taken up before may be about to start
	r.sessions.parked[s.ID] = parkedSession{identity: s.Identity, target: s.Target, deadline: s.Deadline}
	r.sessions.mu.Unlock()
	if goesOn {
		r.GoOnSoon(s.ID)
	}
}

// Fail ends a session whose gateway could not do its work.
func (r *Resumer) Fail(id, reason string) {
	_, err := r.config.Store.Update(id, func(s *journal.Session) error {
		return s.Apply(journal.EndEvent(journal.StatusFailed, journal.ExitFault, reason, r.config.Now()))
	})
	if err != nil {
		r.config.Log.Error("record a session's end", "session", id, "error", err)
	}
}
