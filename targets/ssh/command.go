package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// signals are the names of RFC 4254, section 6.10, and those that kill(1) knows besides, by their numbers here.
var signals = []struct {
	name   string
	number syscall.Signal
	rfc    bool
}{
	{"ABRT", syscall.SIGABRT, true}, {"ALRM", syscall.SIGALRM, true}, {"FPE", syscall.SIGFPE, true},
	{"HUP", syscall.SIGHUP, true}, {"ILL", syscall.SIGILL, true}, {"INT", syscall.SIGINT, true},
	{"KILL", syscall.SIGKILL, true}, {"PIPE", syscall.SIGPIPE, true}, {"QUIT", syscall.SIGQUIT, true},
	{"SEGV", syscall.SIGSEGV, true}, {"TERM", syscall.SIGTERM, true}, {"USR1", syscall.SIGUSR1, true},
	{"USR2", syscall.SIGUSR2, true}, {"STOP", syscall.SIGSTOP, false}, {"CONT", syscall.SIGCONT, false},
	{"TSTP", syscall.SIGTSTP, false}, {"TTIN", syscall.SIGTTIN, false}, {"TTOU", syscall.SIGTTOU, false},
	{"BUS", syscall.SIGBUS, false}, {"TRAP", syscall.SIGTRAP, false}, {"SYS", syscall.SIGSYS, false},
	{"XCPU", syscall.SIGXCPU, false}, {"XFSZ", syscall.SIGXFSZ, false}, {"URG", syscall.SIGURG, false},
	{"VTALRM", syscall.SIGVTALRM, false}, {"PROF", syscall.SIGPROF, false}, {"WINCH", syscall.SIGWINCH, false},
	{"IO", syscall.SIGIO, false}, {"CHLD", syscall.SIGCHLD, false},
}

// Resolve finds an executable along targets.Path, or where a name with a slash says, by the target's own word.
func (t *Target) Resolve(ctx context.Context, name, dir string) (string, error) {
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		return "", syscall.ENOENT
	}
	var candidates []string
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		candidates = []string{name}
	} else {
		for _, d := range strings.Split(targets.Path, ":") {
			candidates = append(candidates, d+"/"+name)
		}
	}
	found, err := asking(ctx, t.pool, func(r *relay) (string, error) {
		found, err := resolve(ctx, r, candidates)
		if strings.Contains(name, "/") && errors.Is(err, syscall.ENOENT) && belowFile(ctx, r, name) {
			err = syscall.ENOTDIR
		}
		return found, err
	})
	return found, errnoOf(err)
}

// maxAbove is how many directories above a file that is not there are asked about.
const maxAbove = 64

// belowFile reports whether a path leads through what is no directory: SFTP has one word for that and for a missing file.
func belowFile(ctx context.Context, r *relay, name string) bool {
	var asked []func() (vfs.Info, error)
	for above := path.Dir(name); above != "/" && len(asked) < maxAbove; above = path.Dir(above) {
		answer := r.StartStat(ctx, above)
		asked = append(asked, func() (vfs.Info, error) {
			a, err := answer.Wait(ctx)
			if err != nil {
				return vfs.Info{}, err
			}
			return sftp.Info(a)
		})
	}
	below := false
	for i, answer := range asked { // all answers are waited for
		if info, err := answer(); err == nil && !info.IsDir() {
			below = true
		} else if err == nil && i == 0 {
			return false
		}
	}
	return below
}

// resolve asks for all candidates at once and takes the first that can be run.
func resolve(ctx context.Context, r *relay, candidates []string) (string, error) {
	asked := make([]func() error, len(candidates))
	for i, c := range candidates {
		answer := r.StartStat(ctx, c)
		asked[i] = func() error {
			a, err := answer.Wait(ctx)
			if err != nil {
				return err
			}
			info, err := sftp.Info(a)
			if err == nil && (!info.IsRegular() || info.Mode&0o111 == 0) {
				err = syscall.EACCES
			}
			return err
		}
	}
	failed := error(syscall.ENOENT)
	for i, answer := range asked {
		err := answer()
		switch {
		case err == nil:
			return candidates[i], nil
		case r.Err() != nil:
			return "", errnoOf(err)
		case errors.Is(err, syscall.EACCES):
			failed = syscall.EACCES
		}
	}
	return "", failed
}

// unreachable keeps the words of what went wrong, and is EHOSTUNREACH.
func unreachable(err error) error { return fmt.Errorf("%w: %w", syscall.EHOSTUNREACH, err) }

// Start starts a command in the session and process group that sshd makes for it. It never tries twice. ctx kills the
// group.
func (t *Target) Start(ctx context.Context, c targets.Command) (targets.Process, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	mark := hex.EncodeToString(raw)
	joined := targets.Same(c.Stdout, c.Stderr)
	behind, err := t.around(ctx, c)
	if err != nil {
		return nil, err
	}
	text, err := line(c, t.Account().Shell, mark, joined, behind)
	if err != nil {
		return nil, fmt.Errorf("run a command as %s on the target %s: %w", t.Account().Name, t.Name(), err)
	}
	if err := t.directory(ctx, c.Dir); err != nil {
		return nil, err
	}
	s, release, err := t.pool.session(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	p := &process{target: t, session: s, walled: behind != nil, argv: c.Argv, marked: make(chan struct{}), ended: make(chan struct{}), left: make(chan struct{}), over: make(chan struct{})}
	stdout, stderr := p.sink(c.Stdout), p.sink(c.Stderr)
	if joined { // what the login shell itself says goes with the rest
		stderr = stdout
	}
	p.stderr = &markedWriter{to: stderr, mark: mark, found: p.found}
	s.Stdout, s.Stderr = stdout, p.stderr
	stdin, err := s.StdinPipe()
	if err == nil {
		err = within(ctx, channelPatience, s, func() error { return s.Start(text) })
	}
	if err != nil {
		_ = s.Close()
		release()
		// The request may have reached the target.
		return nil, fmt.Errorf("start a command on the target %s: the connection was lost, and %w: %w", t.Name(), targets.ErrLost, err)
	}
	go feed(stdin, c.Stdin)
	go p.wait(release)
	stop := context.AfterFunc(ctx, p.kill)
	go func() { <-p.ended; stop() }()
	return p, nil
}

// feed gives a command its input. An end of the command ends it with the next write.
func feed(to io.WriteCloser, from io.Reader) {
	if from != nil {
		_, _ = io.Copy(to, from)
	}
	_ = to.Close()
}

// sink takes a stream of the command. When nobody wants the stream any more, the command gets SIGPIPE, as from a pipe,
// and sink drops the rest: the channel has to be read to its end.
type sink struct {
	p    *process
	mu   sync.Mutex
	to   io.Writer
	gone bool
}

func (p *process) sink(to io.Writer) *sink { return &sink{p: p, to: to, gone: to == nil} }

// Write implements io.Writer.
func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return len(b), nil
	}
	if _, err := s.to.Write(b); err != nil {
		s.gone = true
		go func() { _ = s.p.Signal(syscall.SIGPIPE) }()
	}
	return len(b), nil
}

// directory checks a working directory before anything is started there.
func (t *Target) directory(ctx context.Context, dir string) error {
	a, err := asking(ctx, t.pool, func(r *relay) (sftp.Attributes, error) { return r.StartStat(ctx, dir).Wait(ctx) })
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EACCES):
		return err
	case err != nil:
		return unreachable(err)
	case a.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		return syscall.ENOTDIR
	}
	return nil
}

// process is a command on the target.
type process struct {
	target  *Target
	session *gossh.Session
	walled  bool
	argv    []string
	stderr  *markedWriter
	marked  chan struct{} // closed once group is known
	once    sync.Once
	group   int
	ended   chan struct{}
	left    chan struct{} // closed when it was killed and nobody waits for it any more
	over    chan struct{} // closed when the target has said that it ended, or is lost
	exit    targets.Exit
	err     error
}

// found is called once, with the id of the command's process group.
func (p *process) found(group int) {
	p.once.Do(func() {
		p.group = group
		close(p.marked)
	})
}

// errLeft is of a command that was killed, of which nothing was heard since.
var errLeft = errors.New("it was killed and did not end")

// wait takes the command's end. One that is left is waited for beside: it holds its place in the connection until then.
func (p *process) wait(release func()) {
	defer close(p.ended)
	got := make(chan error, 1)
	go func() {
		defer release()
		err := p.session.Wait()
		close(p.over)
		got <- err
		_ = p.session.Close()
	}()
	select {
	case err := <-got:
		p.finish(err)
	case <-p.left:
		p.err = fmt.Errorf("the command on the target %s: %w, and %w", p.target.Name(), errLeft, targets.ErrLost)
	}
}

// finish takes down how the command ended.
func (p *process) finish(err error) {
	unmarked := p.stderr.end()
	var ended *gossh.ExitError
	switch {
	case unmarked && p.walled && errors.As(err, &ended) && ended.Signal() == "":
		p.err = fmt.Errorf("the target %s: the wall for commands that run unasked was not built, see what it said, so %w", p.target.Name(), targets.ErrLost)
	case unmarked && (err == nil || errors.As(err, &ended) && ended.Signal() == ""):
		// An exit status of something, and the first thing that the line does was not done.
		p.err = fmt.Errorf("the target %s did not run what it was sent, but a program of its own (a ForceCommand of its server, "+
			"or the login shell, see what it said), so %w", p.target.Name(), targets.ErrLost)
	case err == nil:
		p.exit = targets.Exit{}
	case errors.As(err, &ended) && ended.Signal() != "":
		p.exit = targets.Exit{Signal: signalOf(ended.Signal())}
	case errors.As(err, &ended):
		p.exit = targets.Exit{Code: ended.ExitStatus()}
		if s := signalled(p.argv, ended.ExitStatus()); p.walled && s != 0 {
			p.exit = targets.Exit{Signal: s}
		}
	default:
		// No exit status came: the connection, or the target, is gone.
		p.err = fmt.Errorf("the command on the target %s: the connection was lost, and %w: %w", p.target.Name(), targets.ErrLost, err)
	}
}

// signalOf is the number of a signal's name; a name that is not known is SIGKILL, for it ended the command.
func signalOf(name string) syscall.Signal {
	for _, s := range signals {
		if s.name == name {
			return s.number
		}
	}
	return syscall.SIGKILL
}

// Wait returns when the command has ended and everything that it wrote was copied. The error wraps targets.ErrLost where
// nobody knows how, or whether, it ended.
func (p *process) Wait() (targets.Exit, error) {
	<-p.ended
	return p.exit, p.err
}

// signalPatience is how long a signal may be on its way.
const signalPatience = 10 * time.Second

// Signal signals the command's process group: by the request that SSH has for it, or by a kill(1) of its own where the
// server does not serve that.
func (p *process) Signal(sig syscall.Signal) error {
	if done(p.over) {
		return nil
	}
	for _, s := range signals {
		if s.number != sig {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), signalPatience)
		defer cancel()
		if s.rfc && p.request(ctx, s.name) {
			return nil
		}
		return p.killGroup(ctx, s.name)
	}
	return syscall.EINVAL
}

// request sends the request, and reports whether the server took it.
func (p *process) request(ctx context.Context, name string) bool {
	taken := make(chan bool, 1)
	go func() {
		ok, err := p.session.SendRequest("signal", true, gossh.Marshal(struct{ Signal string }{name}))
		taken <- ok && err == nil
	}()
	select {
	case ok := <-taken:
		return ok
	case <-p.over:
		return true
	case <-ctx.Done():
		return false
	}
}

// killGroup signals the group by a command of its own.
func (p *process) killGroup(ctx context.Context, name string) error {
	select {
	case <-p.marked:
	case <-p.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("signal a command on the target %s: it did not say who it is: %w", p.target.Name(), syscall.EAGAIN)
	}
	s, release, err := p.target.pool.session(ctx)
	if err != nil {
		return unreachable(err)
	}
	defer release()
	defer func() { _ = s.Close() }()
	if done(p.over) {
		return nil // its number may be somebody else's by now
	}
	err = within(ctx, signalPatience, s, func() error { return s.Run(fmt.Sprintf("kill -s %s -- -%d", name, p.group)) })
	if err != nil && !done(p.over) {
		return fmt.Errorf("signal a command on the target %s: %w: %w", p.target.Name(), syscall.EPERM, err)
	}
	return nil
}

// kills are those that are under way. One may begin while somebody waits for the end of all, as a sync.WaitGroup does not allow:
// it is of a command that has just ended by itself.
type kills struct {
	mu   sync.Mutex
	none sync.Cond
	n    int
}

func newKills() *kills {
	k := &kills{}
	k.none.L = &k.mu
	return k
}

// begin counts one, until over is called.
func (k *kills) begin() (over func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.n++
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.n--; k.n == 0 {
			k.none.Broadcast()
		}
	}
}

// wait returns when none is under way.
func (k *kills) wait() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.n > 0 {
		k.none.Wait()
	}
}

// afterKill is how long a killed command may take to end. What it left behind may hold its streams, or the target may
// hang.
const afterKill = time.Second

// kill ends the command, and gives up on one that does not. What a target that hangs is asked is asked beside.
func (p *process) kill() {
	over := p.target.kills.begin()
	go func() {
		defer over()
		if err := p.Signal(syscall.SIGKILL); err != nil {
			p.target.log.Warn("kill a command", "target", p.target.Name(), "error", err)
		}
	}()
	timer := time.NewTimer(afterKill)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		close(p.left)
	}
}

// maxBeforeMark is how much a login shell may say before the command starts, in bytes, and still be signalled.
const maxBeforeMark = 64 << 10

// markedWriter takes the first line with the mark out of standard error.
type markedWriter struct {
	to    io.Writer
	mark  string
	found func(group int)
	held  []byte // may be the beginning of the line
	seen  int
	done  bool
}

// maxGroup is the longest number of a process group that is taken, in digits, and the line's end.
const maxGroup = 11

// Write implements io.Writer.
func (w *markedWriter) Write(p []byte) (int, error) {
	if w.done {
		return w.to.Write(p)
	}
	w.held = append(w.held, p...)
	keep := len(w.mark)
	if at := bytes.Index(w.held, []byte(w.mark+" ")); at >= 0 {
		number, rest, whole := bytes.Cut(w.held[at+len(w.mark)+1:], []byte("\n"))
		group, err := strconv.Atoi(string(number))
		switch {
		case whole && err == nil && group > 1 && len(number) < maxGroup:
			w.found(group)
			w.held = append(w.held[:at], rest...)
			w.done = true
		case whole || len(number) >= maxGroup:
			w.done = true // it is not what we sent
		default:
			keep = len(w.held) - at
		}
	}
	pass := len(w.held) - keep
	if w.done = w.done || w.seen+pass > maxBeforeMark; w.done {
		pass = len(w.held)
	}
	if pass <= 0 {
		return len(p), nil
	}
	out := w.held[:pass]
	w.held, w.seen = bytes.Clone(w.held[pass:]), w.seen+pass
	_, err := w.to.Write(out)
	return len(p), err
}

// end passes on what is still held, and reports whether all was seen and the mark was not in it.
func (w *markedWriter) end() (unmarked bool) {
	unmarked = !w.done
	if len(w.held) > 0 {
		_, _ = w.to.Write(w.held)
	}
	w.held, w.done = nil, true
	return unmarked
}
