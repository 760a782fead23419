// Package rollback restores what the files of a session that has ended held before it. It looks at the target first, journals each
// step before it makes it, and touches nothing that somebody else has changed since, unless it is forced to. Its caller knows who may.
package rollback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// Errors of Rollback.
var (
	ErrNothing      = errors.New("nothing to roll back")
	ErrChangedSince = errors.New("changed since")
)

// Step is one thing that a rollback does, or cannot do.
type Step struct {
	Path    string
	Summary render.Text
	// Problem says why it is not done, or only with force: "" where nothing is in the way.
	Problem render.Text
	// Forced says that force overrides the problem.
	Forced bool
}

// Store changes sessions, as far as a rollback needs it.
type Store interface {
	// Update changes a session in one durable transaction. An error of change leaves it as it was and is returned as it is.
	Update(id string, change func(*journal.Session) error) (journal.Session, error)
}

// Config is what rollbacks need.
type Config struct {
	Store Store
	Blobs journal.Blobs
	Look  *change.Look
	Now   func() time.Time
}

// Rollbacks makes sure that one rollback of a session runs at a time.
type Rollbacks struct {
	config Config

	mu   sync.Mutex
	held map[string]bool
}

// New makes rollbacks.
func New(c Config) *Rollbacks { return &Rollbacks{config: c, held: map[string]bool{}} }

// Run restores what a session's files held before it: content, mode, owner and absence, in the order in which that can be done. A
// file that has changed since the session is not touched, and then nothing is, unless force is given. With plan nothing is done.
// Every step is journalled before it is made. done says that all is as it was: the session is rolled back. Whoever calls it has
// checked that by may do so. ErrNothing, ErrChangedSince; a *journal.ConflictError where a step could not be made.
func (r *Rollbacks) Run(ctx context.Context, s *journal.Session, by journal.Identity, force, plan bool) (steps []Step, done bool, err error) {
	if err := possible(s); err != nil {
		return nil, false, err
	}
	release, err := r.take(s.ID)
	if err != nil {
		return nil, false, err
	}
	defer release()
	files, leave := r.config.Look.Files(s.Target, by.Name, s.ID)
	defer leave()
	if files == nil {
		return nil, false, fmt.Errorf("roll back session %s: the target %s is not there, or its files cannot be changed", s.ID, s.Target)
	}
	b := &rolling{r.config, files, s.ID, by}
	steps, todo, err := b.plan(ctx, s)
	if err != nil {
		return nil, false, err
	}
	problems := slices.ContainsFunc(steps, func(t Step) bool { return !t.Problem.Empty() })
	stays := slices.ContainsFunc(steps, func(t Step) bool { return !t.Problem.Empty() && !t.Forced })
	switch {
	case plan:
		return steps, false, nil
	case problems && !force:
		return steps, false, fmt.Errorf("roll back session %s: %w; nothing was done", s.ID, ErrChangedSince)
	}
	if err := b.clear(ctx, s); err != nil {
		return steps, false, err
	}
	for _, f := range todo {
		if err := b.step(ctx, f); err != nil {
			return steps, false, err
		}
	}
	if stays {
		return steps, false, fmt.Errorf("roll back session %s: %w: not everything could be restored", s.ID, ErrChangedSince)
	}
	_, err = r.config.Store.Update(s.ID, func(s *journal.Session) error {
		return s.Apply(journal.Event{What: journal.RollBack, By: by})
	})
	return steps, true, err
}

// possible says why there is nothing to roll back in a session, nil where there is.
func possible(s *journal.Session) error {
	switch {
	case s.Status == journal.StatusRolledBack:
		return fmt.Errorf("%w: session %s was rolled back already", ErrNothing, s.ID)
	case !s.Status.Final():
		return fmt.Errorf("%w: session %s is %s; cancel it first", ErrNothing, s.ID, s.Status)
	}
	for i := range s.Operations {
		if s.Operations[i].Made() {
			return nil
		}
	}
	return fmt.Errorf("%w: session %s has changed no file", ErrNothing, s.ID)
}

func (r *Rollbacks) take(id string) (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[id] {
		return nil, fmt.Errorf("%w: session %s is being rolled back", ErrNothing, id)
	}
	r.held[id] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.held, id)
	}, nil
}

// rolling is one rollback of a session.
type rolling struct {
	config Config
	files  targets.FileTarget
	id     string
	by     journal.Identity
}

// clear ends what an earlier rollback has left half done, when the gateway died in it. What it did is known by a
// look at the target.
func (b *rolling) clear(ctx context.Context, s *journal.Session) error {
	left := map[int]bool{}
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Kind == journal.RollbackKind && o.Finished.IsZero() && o.Decision == journal.Approved {
			left[o.N] = true
			if err := b.files.Sweep(ctx, change.ID(s.ID, o.N), string(o.File.Path)); err != nil {
				return fmt.Errorf("remove what an interrupted rollback left: %w", err)
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	_, err := b.config.Store.Update(s.ID, func(s *journal.Session) error {
		for n := range left {
			if err := s.Operation(n).Apply(journal.Event{What: journal.Interrupt}); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// restored is a path that a session has changed: what was there before it, and what it left.
type restored struct {
	path         string
	was, left    *journal.FileState
	lost         string // why was is not kept
	touchedAlone bool   // only its time was changed
}

// changedPaths are the paths that a session has changed.
func changedPaths(s *journal.Session) []*restored {
	all := map[string]*restored{}
	for i := range s.Operations {
		o := &s.Operations[i]
		if !o.Made() {
			continue
		}
		after := o.File.After()
		for path, was := range o.File.Before() {
			r := all[path]
			if r == nil {
				r = &restored{path: path, was: was, touchedAlone: true}
				if was != nil && !o.File.Kept {
					r.lost = o.File.Lost
				}
				all[path] = r
			}
			r.left = after[path]
			r.touchedAlone = r.touchedAlone && o.File.Op == journal.Touch
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *restored) int { return cmp.Compare(a.path, b.path) })
}

// plan looks at every path and lists what is to be done, in that order: first what is removed, the deepest first,
// then what is made, the highest first.
func (b *rolling) plan(ctx context.Context, s *journal.Session) (steps []Step, todo []*journal.File, err error) {
	var away, back []*journal.File
	paths := changedPaths(s)
	for _, r := range paths {
		now, err := b.files.State(ctx, r.path)
		if err != nil {
			return nil, nil, fmt.Errorf("look at %s: %w", render.Line(r.path), err)
		}
		if now.Same(change.TargetState(r.was)) && !r.touchedAlone {
			continue // as it was: by an earlier try, or by somebody
		}
		problem, hard := b.inTheWay(r, now)
		remove, restore := b.undo(s, r, change.StateOf(now))
		step := Step{Path: r.path, Problem: problem, Forced: !hard}
		for _, f := range []*journal.File{remove, restore} {
			if f == nil {
				continue
			}
			step.Summary = f.Summary()
			if hard {
				continue
			}
			if f == remove {
				away = append(away, f)
			} else {
				back = append(back, f)
			}
		}
		steps = append(steps, step)
	}
	b.mindOthers(away, steps)
	slices.SortStableFunc(away, func(a, b *journal.File) int { return cmp.Compare(depth(b), depth(a)) })
	slices.SortStableFunc(back, func(a, b *journal.File) int { return cmp.Compare(depth(a), depth(b)) })
	order := map[string]int{}
	for i, f := range append(away, back...) {
		if _, known := order[string(f.Path)]; !known {
			order[string(f.Path)] = i
		}
		blocked := slices.ContainsFunc(steps, func(t Step) bool { return t.Path == string(f.Path) && !t.Problem.Empty() && !t.Forced })
		if !blocked {
			todo = append(todo, f)
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(order[a.Path], order[b.Path]) })
	return steps, todo, nil
}

// mindOthers marks the removal of directories in which somebody else has put something since.
func (b *rolling) mindOthers(away []*journal.File, steps []Step) {
	going := map[string]bool{}
	for _, f := range away {
		going[string(f.Path)] = true
	}
	for i := range steps {
		step := &steps[i]
		at := slices.IndexFunc(away, func(f *journal.File) bool { return f.Op == journal.Rmdir && string(f.Path) == step.Path })
		if at < 0 {
			continue
		}
		entries, err := b.files.Files().ReadDir(step.Path)
		if err != nil {
			continue // the removal itself will tell
		}
		for _, e := range entries {
			if !going[step.Path+"/"+e.Name] {
				step.Problem, step.Forced = render.Format("it holds files of others: %s", e.Name), false
				break
			}
		}
	}
}

func depth(f *journal.File) int { return strings.Count(string(f.Path), "/") }

// inTheWay says why a path cannot be restored; hard where force does not help.
func (b *rolling) inTheWay(r *restored, now *targets.State) (problem render.Text, hard bool) {
	kept := change.Contents{Blobs: b.config.Blobs}
	switch {
	case r.lost != "":
		return render.Format("what was there is not kept: %s", r.lost), true
	case r.was != nil && r.was.SHA256 != "" && !kept.Has(r.was.SHA256):
		return render.Own("what was there is not kept any more"), true
	case !now.Same(change.TargetState(r.left)):
		return render.Own("it has changed since the session"), false
	}
	return render.Text{}, false
}

// undo makes what restores a path: a removal, a change, or both where another kind of file is in the way.
func (b *rolling) undo(s *journal.Session, r *restored, now *journal.FileState) (remove, restore *journal.File) {
	f := journal.File{Target: s.Target, Path: journal.Exact(r.path), Was: now}
	for i := range s.Operations {
		if o := &s.Operations[i]; o.File != nil {
			f.RunAs = o.File.RunAs
		}
	}
	is := func(s *journal.FileState) *targets.State { return change.TargetState(s) }
	if now != nil && (r.was == nil || is(now).IsDir() != is(r.was).IsDir()) {
		gone := f
		if gone.Op = journal.Delete; is(now).IsDir() {
			gone.Op = journal.Rmdir
		}
		remove, f.Was = &gone, nil
	}
	if r.was == nil {
		return remove, nil
	}
	f.Perms, f.Mode, f.UID, f.GID = true, r.was.Mode&0o7777, r.was.UID, r.was.GID
	old := is(r.was)
	switch {
	case r.touchedAlone:
		f.Op, f.Perms, f.Mtime = journal.Touch, false, r.was.Mtime
	case f.Was != nil && sameContent(f.Was, r.was):
		f.Op = journal.Chown // and the mode with it
	case old.IsDir():
		f.Op = journal.Mkdir
	case old.IsLink():
		f.Op, f.To = journal.Symlink, r.was.Link
	default:
		f.Op, f.Size, f.SHA256, f.Mtime = journal.Write, r.was.Size, r.was.SHA256, r.was.Mtime
	}
	return remove, &f
}

// sameContent reports whether two files differ in mode and owner at most.
func sameContent(a, b *journal.FileState) bool {
	x, y := *a, *b
	x.Mode, x.UID, x.GID = y.Mode, y.UID, y.GID
	return (a.Mode^b.Mode)&^0o7777 == 0 && change.TargetState(&x).Same(change.TargetState(&y))
}

// step journals one step, makes it, and records what came of it.
func (b *rolling) step(ctx context.Context, f *journal.File) error {
	n := 0
	_, err := b.config.Store.Update(b.id, func(s *journal.Session) error {
		now := b.config.Now()
		o, err := s.Add(
			journal.Operation{
				Kind: journal.RollbackKind, Summary: f.Summary().String(), Verdict: policy.Ask, Risk: policy.Caution, Why: "it undoes a change of this session",
				Digest: f.Digest(), Created: now, File: f,
			},
			journal.Event{What: journal.Ask}, journal.Event{What: journal.Approve, At: now, By: b.by}, journal.Event{What: journal.Start, At: now},
		)
		if err == nil {
			n = o.N
		}
		return err
	})
	if err != nil {
		return err
	}
	failed := b.files.Apply(context.WithoutCancel(ctx), change.TargetChange(f, change.ID(b.id, n), b.config.Blobs))
	failed = b.config.Look.AfterLoss(ctx, b.files, b.id, &journal.Operation{N: n, File: f}, failed)
	outcome := change.Outcome(failed, b.config.Now())
	_, err = b.config.Store.Update(b.id, func(s *journal.Session) error {
		o := s.Operation(n)
		if o == nil {
			return journal.ErrNotFound
		}
		return o.Apply(outcome)
	})
	if failed != nil {
		return errors.Join(&journal.ConflictError{N: n, Reason: render.Line(failed.Error()).String(), Unknown: outcome.What == journal.Lose}, err)
	}
	return err
}
