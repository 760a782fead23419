package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// placed are the paths of files of scratch that this session has made on the target, in order.
type placed []string

// place puts the files of scratch that go with a command on the target. Each path must be free, but for what the
// session itself has put there before: another's file is neither overwritten nor taken for the session's own. Where one
// cannot be placed the command does not start.
func (l *Live) place(ctx context.Context, o journal.Operation) error {
	if len(o.Command.Scratch) == 0 {
		return nil
	}
	files, ok := l.target.(targets.FileTarget)
	if !ok {
		return l.canChangeFiles()
	}
	l.committing.Lock()
	defer l.committing.Unlock()
	ctx = context.WithoutCancel(ctx)
	had := len(l.placed)
	for i := range o.Command.Scratch {
		if err := l.placeOne(ctx, files, o.N, &o.Command.Scratch[i]); err != nil {
			l.remove(ctx, files, l.placed[had:])
			l.placed = l.placed[:had]
			return l.notPlaced(o.N, &o.Command.Scratch[i], err)
		}
	}
	if len(l.placed) == had {
		return nil
	}
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		s.Placed = make([]journal.Exact, len(l.placed))
		for i, name := range l.placed {
			s.Placed[i] = journal.Exact(name)
		}
		return nil
	})
	return err
}

func (l *Live) placeOne(ctx context.Context, files targets.FileTarget, n int, f *journal.File) error {
	c := change.TargetChange(f, change.ID(l.id, n), l.of.config.Blobs)
	own := slices.Contains(l.placed, string(f.Path))
	if own {
		now, err := files.State(ctx, c.Path)
		if err != nil {
			return err
		}
		if want := f.After()[string(f.Path)]; now.Same(change.TargetState(want)) || now.IsDir() {
			return nil
		}
		c.Was = now // the script, or a command, has changed it since
	}
	if err := files.Apply(ctx, c); err != nil {
		return err
	}
	if !own {
		l.placed = append(l.placed, c.Path)
	}
	return nil
}

// notPlaced records why a command did not start.
func (l *Live) notPlaced(n int, f *journal.File, failed error) error {
	reason := fmt.Sprintf("the script's own %s cannot be put on %s: %s", render.Line(string(f.Path)), render.Line(l.target.Name()), render.Line(failed.Error()))
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		o := s.Operation(n)
		if o == nil {
			return journal.ErrNotFound
		}
		e := journal.Event{What: journal.Fail, At: l.of.config.Now(), Reason: reason}
		if errors.Is(failed, targets.ErrConflict) {
			e.What = journal.Conflict
		}
		return o.Apply(e)
	})
	l.Notice("operation %d did not run: %s", n, render.Stored(reason))
	l.of.config.Publish(l.Subject(), events.Finished)
	return errors.Join(&journal.ConflictError{N: n, Reason: reason}, err)
}

// unplace removes what place has put on the target. The session's commands have ended.
func (l *Live) unplace() {
	l.committing.Lock()
	defer l.committing.Unlock()
	files, ok := l.target.(targets.FileTarget)
	if !ok || len(l.placed) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), change.LookTime)
	defer cancel()
	l.remove(ctx, files, l.placed)
	l.placed = nil
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error { s.Placed = nil; return nil })
	if err != nil {
		l.of.config.Log.Error("record that scratch was removed", "session", l.id, "error", err)
	}
}

// remove removes placed files, the last first. What a command has made of them goes too; a directory in which it has
// left something stays, and is said.
func (l *Live) remove(ctx context.Context, files targets.FileTarget, names []string) {
	for _, left := range change.RemovePlaced(ctx, files, change.ID(l.id, 0), names) {
		l.of.config.Log.Warn("a file of a session's scratch stays on the target", "session", l.id, "error", left)
	}
}
