package gate

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// programs remembers, by target, which names are found in directories that others can write.
type programs struct {
	mu    sync.Mutex
	known map[string]*foreignPrograms
}

// foreignPrograms has a lock of its own: a target that does not answer holds up nobody at another one.
type foreignPrograms struct {
	mu    sync.Mutex
	at    time.Time         // zero before the first look
	names map[string]string // name → path
}

// The policy knows programs by their names. A name means what it seems to mean only as long as nobody but root can put a program
// of that name where programs are looked for.

// programsAge is how long what is known of a target's directories is used.
const programsAge = time.Minute

// foreign returns the programs of a target that others could have put there.
func (p *programs) foreign(t targets.Target, now time.Time) map[string]string {
	p.mu.Lock()
	if p.known == nil {
		p.known = map[string]*foreignPrograms{}
	}
	f := p.known[t.Name()]
	if f == nil {
		f = &foreignPrograms{}
		p.known[t.Name()] = f
	}
	p.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.at.IsZero() && now.Sub(f.at) < programsAge && !now.Before(f.at) {
		return f.names
	}
	names := map[string]string{}
	files := t.Files()
	if i, ok := t.(targets.Inspected); ok { // the account may start what it cannot list
		files = i.Inspect()
	}
	for _, dir := range slices.Backward(strings.Split(targets.Path, ":")) {
		if files == nil || onlyRootWrites(files, dir) {
			continue
		}
		entries, err := files.ReadDir(dir)
		if err != nil {
			continue // not there, or not to be read: then nothing is found in it either
		}
		for _, e := range entries {
			names[e.Name] = path.Join(dir, e.Name) // an earlier directory wins
		}
	}
	f.at, f.names = now, names
	return names
}

// maxLinks bounds the links that are followed for one directory.
const maxLinks = 8

// onlyRootWrites reports whether nobody but root can add to a directory, or whether it is not there. What a link leads through
// is not looked at: all of it is below directories of root's.
func onlyRootWrites(files vfs.Source, dir string) bool {
	for range maxLinks {
		info, err := files.Lstat(dir)
		if err != nil {
			return true
		}
		if info.Mode&syscall.S_IFMT != syscall.S_IFLNK {
			return info.UID == 0 && info.Mode&0o022 == 0
		}
		to, err := files.Readlink(dir)
		if err != nil {
			return false
		}
		if !strings.HasPrefix(to, "/") {
			to = path.Join(path.Dir(dir), to)
		}
		dir = path.Clean(to)
	}
	return false
}

// judge asks the policy when it is the identity's turn. It judges the executable that would run, not the name that the script
// gives it.
func (l *execution) judge(ctx context.Context, command *journal.Command, c Start) (policy.Decision, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()
	// Looked up outside the turn: a target that does not answer holds up nobody at another one.
	foreign := l.of.programs.foreign(l.target, l.of.config.Now())
	done, err := l.of.turns.Take(ctx, l.identity, oneJudgement)
	if err != nil {
		return policy.Decision{}, err
	}
	defer done()
	return l.held(ctx, command, l.judgeNow(command, c, foreign)), nil
}

// held asks about a command that may run unasked behind a wall alone, where its target has none for it.
func (l *execution) held(ctx context.Context, command *journal.Command, d policy.Decision) policy.Decision {
	w, ok := l.target.(targets.Walled)
	if !ok || d.Verdict != policy.Allow {
		return d
	}
	if err := w.Unheld(ctx, command.Argv); err != nil {
		return policy.Decision{Verdict: policy.Ask, Risk: d.Risk, Reason: render.Line("the wall that this target requires: " + err.Error()).String()}
	}
	return d
}

func (l *execution) judgeNow(command *journal.Command, c Start, foreign map[string]string) policy.Decision {
	pc := policy.Context{Target: command.Target, EnvChanges: command.EnvChanges, Dir: command.Dir, Foreign: foreign, Bare: l.target.Jail() != nil}
	if c.Shell {
		return l.rules.Judge.Shell(c.Argv[len(c.Argv)-1], pc)
	}
	argv := slices.Clone(command.Argv)
	named := filepath.Base(argv[0])
	if dir, base := path.Split(command.Path); strings.Contains(c.Argv[0], "/") || !onPath(dir) || base != c.Argv[0] {
		argv[0] = command.Path
	}
	d := l.rules.Judge.Argv(argv, pc)
	if d.Verdict == policy.Allow && named != filepath.Base(command.Path) {
		return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: render.Line(fmt.Sprintf("the program %s would be told that its name is %s", command.Path, named)).String()}
	}
	return d
}

// onPath reports whether a directory is one of those where executables are looked for.
func onPath(dir string) bool {
	return slices.Contains(strings.Split(targets.Path, ":"), strings.TrimSuffix(dir, "/"))
}

// oneJudgement is how many commands of one identity are judged at a time. A judgement is bounded, but not free: whoever asks for
// many at once, by scripts or by the verb policy, takes one processor at most.
const oneJudgement = 1
