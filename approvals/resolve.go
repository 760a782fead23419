package approvals

import (
	"context"
	"errors"
	"fmt"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// answer is what a look at the target says of a change whose gateway died.
type answer int

const (
	notKnown answer = iota
	wasMade
	notMade
)

// answers are those for a session's operations, by number.
type answers map[int]answer

// anyMade reports whether something was made that the script was never told of: it runs again, to come to its end.
func (a answers) anyMade() bool {
	for _, one := range a {
		if one == wasMade {
			return true
		}
	}
	return false
}

// files is a target whose files can be changed, for an identity and a session that is not alive; nil where there is none
// of that name. done ends its use.
func (k look) files(name, identity, session string) (files targets.FileTarget, done func()) {
	if k.target == nil {
		return nil, func() {}
	}
	t, done := targets.For(k.target(name), identity, session)
	files, _ = t.(targets.FileTarget)
	return files, done
}

// resolve compares what is on the target with what a change was to make and with what was there before. Only where
// that is certain it is an answer. What the interrupted change has left beside the file is removed.
func (k look) resolve(ctx context.Context, files targets.FileTarget, id string, o *journal.Operation) answer {
	if files == nil || files.Name() != o.File.Target {
		return notKnown
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	f := o.File
	now := map[string]*targets.State{}
	for path := range f.Before() {
		if err := files.Sweep(ctx, changeID(id, o.N), path); err != nil {
			k.log.Error("remove what an interrupted change left", "session", id, "operation", o.N, "error", err)
		}
		var err error
		if now[path], err = files.State(ctx, path); err != nil {
			return notKnown
		}
	}
	is := func(want map[string]*journal.FileState) bool {
		for path, s := range want {
			if !now[path].Same(targetState(s)) {
				return false
			}
		}
		return true
	}
	switch {
	case is(f.Before()):
		return notMade // where it looks made too, as a touch does, once more does no harm
	case is(f.After()):
		return wasMade
	case f.Op == journal.Rename && f.WasTo != nil && is(map[string]*journal.FileState{string(f.Path): f.WasTo, string(f.To): f.Was}):
		// The two have changed places, and what was replaced is still to be removed.
		c := targets.Change{ID: changeID(id, o.N), Op: targets.Delete, Path: string(f.Path), Was: now[string(f.Path)]}
		if files.Apply(ctx, c) == nil {
			return wasMade
		}
	}
	return notKnown
}

// afterLoss says what became of a change whose connection broke in the middle, by a look over another one: nil where it was
// made. What is left of it beside the file is removed.
func (k look) afterLoss(ctx context.Context, files targets.FileTarget, id string, o *journal.Operation, failed error) error {
	if !errors.Is(failed, targets.ErrInterrupted) {
		return failed
	}
	switch k.resolve(ctx, files, id, o) {
	case wasMade:
		return nil
	case notMade:
		return failed
	default: // nothing of the kind for the others
	}
	return fmt.Errorf("%w, and %w", failed, errNotKnown)
}
