package change

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// Look finds out what is on targets.
type Look struct {
	Target func(name string) targets.Target // finds a target by its name, nil for none; may itself be nil
	Log    *slog.Logger
}

// Answer is what a look at the target says of a change whose gateway died.
type Answer int

// The answers.
const (
	NotKnown Answer = iota // nobody can tell
	WasMade
	NotMade
)

// Answers are those for a session's operations, by number.
type Answers map[int]Answer

// AnyMade reports whether something was made that the script was never told of: it runs again, to come to its end.
func (a Answers) AnyMade() bool {
	for _, one := range a {
		if one == WasMade {
			return true
		}
	}
	return false
}

// Files is a target whose files can be changed, for an identity and a session that is not alive; nil where there is none
// of that name. done ends its use.
func (k *Look) Files(name, identity, session string) (files targets.FileTarget, done func()) {
	if k.Target == nil {
		return nil, func() {}
	}
	t, done := targets.For(k.Target(name), identity, session)
	files, _ = t.(targets.FileTarget)
	return files, done
}

// Resolve compares what is on the target with what a change was to make and with what was there before. Only where
// that is certain it is an answer. What the interrupted change has left beside the file is removed.
func (k *Look) Resolve(ctx context.Context, files targets.FileTarget, id string, o *journal.Operation) Answer {
	if files == nil || files.Name() != o.File.Target {
		return NotKnown
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), LookTime)
	defer cancel()
	f := o.File
	now := map[string]*targets.State{}
	for path := range f.Before() {
		if err := files.Sweep(ctx, ID(id, o.N), path); err != nil {
			k.Log.Error("remove what an interrupted change left", "session", id, "operation", o.N, "error", err)
		}
		var err error
		if now[path], err = files.State(ctx, path); err != nil {
			return NotKnown
		}
	}
	is := func(want map[string]*journal.FileState) bool {
		for path, s := range want {
			if !now[path].Same(TargetState(s)) {
				return false
			}
		}
		return true
	}
	switch {
	case is(f.Before()):
		return NotMade // where it looks made too, as a touch does, once more does no harm
	case is(f.After()):
		return WasMade
	case f.Op == journal.Rename && f.WasTo != nil && is(map[string]*journal.FileState{string(f.Path): f.WasTo, string(f.To): f.Was}):
		// The two have changed places, and what was replaced is still to be removed.
		c := targets.Change{ID: ID(id, o.N), Op: targets.Delete, Path: string(f.Path), Was: now[string(f.Path)]}
		if files.Apply(ctx, c) == nil {
			return WasMade
		}
	}
	return NotKnown
}

// AfterLoss says what became of a change whose connection broke in the middle, by a look over another one: nil where it was
// made. What is left of it beside the file is removed.
func (k *Look) AfterLoss(ctx context.Context, files targets.FileTarget, id string, o *journal.Operation, failed error) error {
	if !errors.Is(failed, targets.ErrInterrupted) {
		return failed
	}
	switch k.Resolve(ctx, files, id, o) {
	case WasMade:
		return nil
	case NotMade:
		return fmt.Errorf("%w; a look at the target shows it as it was", failed)
	default: // nothing of the kind for the others
	}
	return fmt.Errorf("%w, and %w", failed, errNotKnown)
}
