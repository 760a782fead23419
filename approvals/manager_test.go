package approvals_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/store"
	"shannot-gateway/targets"
	"shannot-gateway/targets/local"
)

var (
	claude = journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	alice  = journal.Identity{Name: "alice", Role: journal.Approver, Fingerprint: "SHA256:alice"}
	bob    = journal.Identity{Name: "bob", Role: journal.Admin, Fingerprint: "SHA256:bob"}
)

// fixedJudge allows echo and cat, denies reboot, and asks about the rest.
type fixedJudge struct{}

func (fixedJudge) Argv(argv []string, _ policy.Context) policy.Decision {
	switch filepath.Base(argv[0]) {
	case "echo", "cat":
		return policy.Decision{Verdict: policy.Allow, Risk: policy.Safe, Reason: "reads"}
	case "env":
		return policy.Decision{Verdict: policy.Deny, Risk: policy.Danger, Reason: "env is denied here"}
	}
	return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: "not known"}
}

func (fixedJudge) Shell(string, policy.Context) policy.Decision {
	return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: "a shell"}
}

// book is a manager with a store in a temporary directory.
type book struct {
	*approvals.Manager
	tb     testing.TB
	config approvals.Config
	target *local.Local
	dir    string
	again  chan *gate.Live // sessions that have started again
}

// open makes a book whose store waits for no disk: what a machine's end leaves is the subject of the store's own tests and of the crash
// tests.
func open(tb testing.TB, dir string, change func(*approvals.Config)) *book {
	tb.Helper()
	return openIn(tb, dir, store.OpenUnsynced, change)
}

func openIn(tb testing.TB, dir string, openStore func(string, store.Options) (*store.Store, error), change func(*approvals.Config)) *book {
	tb.Helper()
	s, err := openStore(filepath.Join(dir, "gateway.db"), store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	b := &book{tb: tb, target: newTarget(tb), dir: dir, config: approvals.Config{Store: soundStore{s, tb}, Blobs: s, Judge: fixedJudge{}, Dir: filepath.Join(dir, "output")}}
	if change != nil {
		change(&b.config)
	}
	if b.Manager, err = approvals.New(b.config); err != nil {
		tb.Fatal(err)
	}
	return b
}

// watcher looks on: what a test sees that is not about who may see what.
var watcher = journal.Identity{Name: "watcher", Role: journal.Admin, Fingerprint: "SHA256:watcher"}

func (b *book) Session(id string) (journal.Session, error) { return b.Manager.Session(watcher, id) }

func (b *book) Sessions(f approvals.Filter) ([]journal.Session, error) {
	return b.Manager.Sessions(watcher, f)
}

func (b *book) Subscribe(ctx context.Context) <-chan events.Event {
	return b.Manager.Subscribe(ctx, watcher)
}

func (b *book) Follow(ctx context.Context, id string, fn func(output.Chunk) error) (journal.Session, error) {
	return b.Manager.Follow(ctx, watcher, id, fn)
}

func (b *book) OperationOutput(id string, n int, fn func(output.Chunk) error) error {
	return b.Manager.OperationOutput(watcher, id, n, fn)
}

func (b *book) Grants(all bool) []grants.Grant { return b.Manager.Grants(watcher, all) }

func newTarget(tb testing.TB) *local.Local {
	tb.Helper()
	target, err := local.New(local.Options{Jail: true})
	if err != nil {
		tb.Fatal(err)
	}
	return target
}

func newBook(tb testing.TB) *book { return open(tb, tb.TempDir(), nil) }

func (b *book) begin() *gate.Live {
	b.tb.Helper()
	l, err := b.Begin(context.Background(), approvals.Request{
		Identity: claude, Target: b.target, Script: "print()", Args: []string{"-"}, Env: b.target.Account().Env("dumb"),
	})
	if err != nil {
		b.tb.Fatal(err)
	}
	return l
}

func command(out io.Writer, argv ...string) gate.Start {
	return gate.Start{Argv: argv, Executables: []string{"/bin/" + argv[0], "/usr/bin/" + argv[0]}, Dir: "/", Input: "none", Stdout: out, Stderr: out}
}

// shown is an approval of what waits in a session now, as somebody gives it who has just read it.
func shown(tb testing.TB, m *approvals.Manager, id string, ops ...int) decision.Approval {
	tb.Helper()
	s, err := m.Session(watcher, id)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		tb.Fatal(err)
	}
	a := decision.Approval{Waiting: s.WaitingDigest(), Ops: ops, Danger: []string{s.Target}}
	if a.Waiting == "" { // it is well formed nevertheless
		a.Waiting = strings.Repeat("0", 64)
	}
	return a
}

// approve reads what waits in a session and approves it.
func (b *book) approve(id string, by journal.Identity, ops ...int) (journal.Session, error) {
	b.tb.Helper()
	return b.Approve(context.Background(), id, by, shown(b.tb, b.Manager, id, ops...))
}

// started is the result of a Start on a goroutine of its own.
type started struct {
	process targets.Process
	err     error
}

func start(l *gate.Live, c gate.Start) <-chan started {
	result := make(chan started, 1)
	go func() {
		p, err := l.Start(l.Context(), c)
		result <- started{p, err}
	}()
	return result
}

// waiting returns once an operation of the session waits.
func (b *book) waiting(feed <-chan events.Event, id string) journal.Session {
	b.tb.Helper()
	for e := range feed {
		if e.Kind == events.Waiting && e.Session == id {
			s, err := b.Session(id)
			if err != nil {
				b.tb.Fatal(err)
			}
			return s
		}
	}
	b.tb.Fatal("no operation waits")
	return journal.Session{}
}

func mustRun(tb testing.TB, p targets.Process, err error) targets.Exit {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		tb.Fatal(err)
	}
	return exit
}

func TestAllowedCommandRunsAtOnceAndIsRecorded(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	var out bytes.Buffer
	p, err := l.Start(t.Context(), command(&out, "echo", "hello"))
	mustRun(t, p, err)
	l.End(gate.Outcome{Status: journal.StatusDone})
	s, err := b.Session(l.ID())
	if err != nil || out.String() != "hello\n" || s.Status != journal.StatusDone || len(s.Operations) != 1 {
		t.Fatalf("output %q, session %+v, %v", out.String(), s, err)
	}
	if o := s.Operations[0]; o.Decision != journal.Allowed || o.By != "policy" || o.ExitCode == nil || *o.ExitCode != 0 || o.Digest == "" {
		t.Errorf("operation %+v", o)
	}
	var recorded strings.Builder
	if err := b.OperationOutput(l.ID(), 1, func(c output.Chunk) error { recorded.Write(c.Data); return nil }); err != nil || recorded.String() != "hello\n" {
		t.Errorf("recorded output %q, %v", recorded.String(), err)
	}
}

// funcWriter has no equality, as a writer that holds a function has none.
type funcWriter struct{ write func([]byte) (int, error) }

func (f funcWriter) Write(p []byte) (int, error) { return f.write(p) }

func TestWritersWithoutEqualityAreTwoStreams(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	var out bytes.Buffer
	c := command(nil, "echo", "hello")
	c.Stdout, c.Stderr = funcWriter{out.Write}, funcWriter{out.Write}
	p, err := l.Start(t.Context(), c)
	if mustRun(t, p, err); out.String() != "hello\n" {
		t.Errorf("output %q", out.String())
	}
}

func TestDeniedCommandNeverRuns(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	var out bytes.Buffer
	_, err := l.Start(t.Context(), command(&out, "env"))
	var denial *journal.DenialError
	if !errors.As(err, &denial) || denial.By != "" || out.Len() != 0 {
		t.Fatalf("error %v, output %q; want a denial and none", err, out.String())
	}
	if s, _ := b.Session(l.ID()); s.Operations[0].Decision != journal.Denied {
		t.Errorf("operation %+v", s.Operations[0])
	}
}

func TestMissingProgramBothersNobody(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	_, err := l.Start(t.Context(), command(io.Discard, "no-such-program"))
	if s, _ := b.Session(l.ID()); !errors.Is(err, syscall.ENOENT) || len(s.Operations) != 0 {
		t.Errorf("error %v, operations %+v", err, s.Operations)
	}
}

func TestHeldCommandRunsOnceAfterApproval(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	mark := filepath.Join(b.dir, "mark")
	result := start(l, command(io.Discard, "sh", "-c", "echo ran >> "+mark))
	s := b.waiting(feed, l.ID())
	if s.Status != journal.StatusHeld || s.Operations[0].Decision != journal.Waiting {
		t.Fatalf("while it waits the journal says %+v", s)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("it ran before the approval")
	}
	if _, err := b.Approve(t.Context(), l.ID(), alice, decision.Approval{Each: map[int]string{1: s.Operations[0].Digest}}); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	if _, err := b.approve(l.ID(), bob); !errors.Is(err, journal.ErrNotWaiting) {
		t.Errorf("second approval: %v, want ErrNotWaiting", err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	text, _ := os.ReadFile(mark)
	s, _ = b.Session(l.ID())
	o := s.Operations[0]
	if string(text) != "ran\n" || o.Decision != journal.Approved || o.By != "alice" || o.ByKey != alice.Fingerprint || o.Started.IsZero() || o.Finished.IsZero() {
		t.Errorf("file %q, operation %+v", text, o)
	}
}

func TestTwoApproversRaceAndOneDecides(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	mark := filepath.Join(b.dir, "mark")
	result := start(l, command(io.Discard, "sh", "-c", "echo ran >> "+mark))
	b.waiting(feed, l.ID())
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		by := alice
		if i%2 == 1 {
			by = bob
		}
		all.Go(func() {
			if _, err := b.approve(l.ID(), by); err == nil {
				won.Add(1)
			} else if !errors.Is(err, journal.ErrNotWaiting) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r := <-result
	mustRun(t, r.process, r.err)
	if text, _ := os.ReadFile(mark); won.Load() != 1 || string(text) != "ran\n" {
		t.Errorf("%d approvals took effect, the file holds %q", won.Load(), text)
	}
}

func TestRejectionIsADenialWithTheReason(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	result := start(l, command(io.Discard, "touch", filepath.Join(b.dir, "x")))
	b.waiting(feed, l.ID())
	for _, reason := range []string{"", "  ", strings.Repeat("x", 2000), "\xff"} {
		if _, err := b.Reject(t.Context(), l.ID(), alice, nil, reason); err == nil {
			t.Errorf("rejected with the reason %q", reason)
		}
	}
	if _, err := b.Reject(t.Context(), l.ID(), alice, nil, "not today"); err != nil {
		t.Fatal(err)
	}
	r := <-result
	var denial *journal.DenialError
	if !errors.As(r.err, &denial) || denial.Reason != "not today" || denial.By != "alice" {
		t.Fatalf("error %v", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusFailed, ExitCode: 1})
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusRejected || s.Reason != "not today" {
		t.Errorf("session %+v", s)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "x")); err == nil {
		t.Error("it ran")
	}
}

func TestWhoMayDecide(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	result := start(l, command(io.Discard, "true"))
	b.waiting(feed, l.ID())
	refused := map[string]journal.Identity{
		"an agent":                 {Name: "other", Role: journal.Agent},
		"no role":                  {Name: "other"},
		"the owner as an approver": {Name: "claude", Role: journal.Approver, Fingerprint: "SHA256:new"},
		"the owner's key":          {Name: "alice", Role: journal.Approver, Fingerprint: claude.Fingerprint},
	}
	for name, by := range refused {
		if _, err := b.approve(l.ID(), by); !errors.Is(err, journal.ErrNotPermitted) {
			t.Errorf("approve by %s: %v, want ErrNotPermitted", name, err)
		}
		if _, err := b.Reject(t.Context(), l.ID(), by, nil, "no"); !errors.Is(err, journal.ErrNotPermitted) {
			t.Errorf("reject by %s: %v, want ErrNotPermitted", name, err)
		}
	}
	if _, err := b.Approve(t.Context(), l.ID(), alice, decision.Approval{Waiting: strings.Repeat("0", 64)}); !errors.Is(err, decision.ErrDigest) {
		t.Errorf("wrong digest: %v, want ErrDigest", err)
	}
	if _, err := b.approve(l.ID(), alice, 2); !errors.Is(err, journal.ErrNotWaiting) {
		t.Errorf("an operation that is not there: %v, want ErrNotWaiting", err)
	}
	if _, err := b.approve("nosuchid", alice); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("a session that is not there: %v, want ErrNotFound", err)
	}
	if _, err := b.approve(l.ID(), bob, 1, 1); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
}

func TestUnansweredSessionExpiresAndNothingRuns(t *testing.T) {
	b := open(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	l := b.begin()
	mark := filepath.Join(b.dir, "mark")
	r := <-start(l, command(io.Discard, "touch", mark))
	if r.err == nil || l.Context().Err() == nil {
		t.Fatalf("error %v, context %v", r.err, l.Context().Err())
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled, ExitCode: 1})
	s, _ := b.Session(l.ID())
	if s.Status != journal.StatusExpired || s.Operations[0].Decision != journal.Expired {
		t.Errorf("session %+v", s)
	}
	if _, err := b.approve(l.ID(), alice); !errors.Is(err, journal.ErrNotWaiting) {
		t.Errorf("approval after the end: %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
}

func TestCancelEndsAHeldAndARunningSession(t *testing.T) {
	b := newBook(t)
	feed := b.Subscribe(t.Context())
	held := b.begin()
	result := start(held, command(io.Discard, "true"))
	b.waiting(feed, held.ID())
	if _, err := b.Cancel(t.Context(), held.ID(), journal.Identity{Name: "other", Role: journal.Agent}); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("cancel by another agent: %v, want ErrNotFound", err)
	}
	if _, err := b.Cancel(t.Context(), held.ID(), claude); err != nil {
		t.Fatal(err)
	}
	if r := <-result; !errors.Is(r.err, journal.ErrCancelled) {
		t.Errorf("held command: %v, want ErrCancelled", r.err)
	}
	held.End(gate.Outcome{Status: journal.StatusCancelled, ExitCode: 77})
	if s, _ := b.Session(held.ID()); s.Status != journal.StatusCancelled || s.Operations[0].Decision != journal.Cancelled {
		t.Errorf("session %+v", s)
	}

	running := b.begin()
	p, err := running.Start(running.Context(), command(io.Discard, "cat", "/dev/zero"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Cancel(t.Context(), running.ID(), alice); err != nil {
		t.Fatal(err)
	}
	if exit, _ := p.Wait(); exit.Signal != syscall.SIGKILL {
		t.Errorf("running command ended with %+v", exit)
	}
}

func TestLimits(t *testing.T) {
	b := open(t, t.TempDir(), func(c *approvals.Config) {
		c.Limits = gate.Limits{Operations: 2, Output: 10, Sessions: 3, SessionsPerIdentity: 2}
	})
	l := b.begin()
	for range 2 {
		p, err := l.Start(t.Context(), command(io.Discard, "echo"))
		mustRun(t, p, err)
	}
	if _, err := l.Start(t.Context(), command(io.Discard, "echo")); err == nil || !strings.Contains(err.Error(), "limits.operations") {
		t.Errorf("third operation: %v", err)
	}
	if n, err := l.Stdout().Write([]byte("0123456789abc")); n != 10 || !errors.Is(err, journal.ErrOutputLimit) {
		t.Errorf("writing past the limit: %d, %v", n, err)
	}
	b.begin()
	if _, err := b.Begin(t.Context(), approvals.Request{Identity: claude, Target: b.target}); !errors.Is(err, journal.ErrTooMany) || !strings.Contains(err.Error(), "limits.sessions_per_identity") {
		t.Errorf("third session of one: %v", err)
	}
	if _, err := b.Begin(t.Context(), approvals.Request{Identity: bob, Target: b.target}); err != nil {
		t.Error(err)
	}
	if _, err := b.Begin(t.Context(), approvals.Request{Identity: alice, Target: b.target}); !errors.Is(err, journal.ErrTooMany) || !strings.Contains(err.Error(), "limits.sessions ") {
		t.Errorf("fourth session: %v", err)
	}
	l.End(gate.Outcome{Status: journal.StatusFailed, ExitCode: 137})
	if s, _ := b.Session(l.ID()); !s.Truncated {
		t.Error("the session does not say that its output was cut")
	}
}

func TestFollowGivesEverythingFromTheStart(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	_, _ = l.Stdout().Write([]byte("early "))
	l.Notice("old news")
	followed := make(chan string)
	ready := make(chan struct{})
	go func() {
		var got strings.Builder
		var once sync.Once
		_, err := b.Follow(context.Background(), l.ID(), func(c output.Chunk) error {
			fmt.Fprintf(&got, "[%d]%s", c.Stream, c.Data)
			if c.Stream == output.Stdout {
				once.Do(func() { close(ready) })
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		followed <- got.String()
	}()
	<-ready
	_, _ = l.Stderr().Write([]byte("late"))
	l.Notice("new")
	l.End(gate.Outcome{Status: journal.StatusDone})
	if got, want := <-followed, "[4]running[1]early [3]old news[2]late[3]new"; got != want {
		t.Errorf("live: %q, want %q", got, want)
	}
	var again strings.Builder
	s, err := b.Follow(t.Context(), l.ID(), func(c output.Chunk) error { fmt.Fprintf(&again, "[%d]%s", c.Stream, c.Data); return nil })
	if want := "[4]done[1]early [2]late"; again.String() != want || err != nil || s.Status != journal.StatusDone {
		t.Errorf("after the end: %q, %v; want %q", again.String(), err, want)
	}
}

func TestProgramUnderAFalseNameIsAskedAbout(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	c := command(io.Discard, "echo")
	c.Argv[0] = "harmless"
	_ = start(l, c)
	if s := b.waiting(feed, l.ID()); !strings.Contains(s.Operations[0].Why, "harmless") {
		t.Errorf("operation %+v", s.Operations[0])
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
}

func TestExecutableDecidesAndNotTheFirstArgument(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	c := command(io.Discard, "env")
	c.Argv = []string{"echo"}
	var denial *journal.DenialError
	if _, err := l.Start(t.Context(), c); !errors.As(err, &denial) {
		t.Errorf("env under the name echo: %v, want a denial", err)
	}
}

func TestUnwritableJournalRunsNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := store.OpenUnsynced(filepath.Join(dir, "gateway.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, t.TempDir(), nil)
	broken := b.config
	faulty := &faultyStore{Store: s}
	broken.Store, broken.Blobs = faulty, s
	if b.Manager, err = approvals.New(broken); err != nil {
		t.Fatal(err)
	}
	l := b.begin()
	mark := filepath.Join(b.dir, "mark")
	faulty.broken.Store(true)
	if _, err := l.Start(t.Context(), command(io.Discard, "echo", mark)); !errors.Is(err, journal.ErrStore) {
		t.Errorf("allowed command: %v, want ErrStore", err)
	}
	if _, err := l.Start(t.Context(), command(io.Discard, "touch", mark)); !errors.Is(err, journal.ErrStore) {
		t.Errorf("command that asks: %v, want ErrStore", err)
	}
	if _, err := b.Begin(t.Context(), approvals.Request{Identity: bob, Target: b.target}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("new session: %v, want ErrStore", err)
	}
	faulty.broken.Store(false)
	p, err := l.Start(t.Context(), command(io.Discard, "echo"))
	mustRun(t, p, err)
}

// faultyStore fails every write while it is broken, as a full disk does.
type faultyStore struct {
	*store.Store
	broken atomic.Bool
}

func (f *faultyStore) fail() error {
	if f.broken.Load() {
		return fmt.Errorf("%w: %w", journal.ErrStore, syscall.ENOSPC)
	}
	return nil
}

func (f *faultyStore) Create(s journal.Session) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Store.Create(s)
}

func (f *faultyStore) Update(id string, change func(*journal.Session) error) (journal.Session, error) {
	if err := f.fail(); err != nil {
		return journal.Session{}, err
	}
	return f.Store.Update(id, change)
}

func TestSlowSubscriberIsToldThatItLostEvents(t *testing.T) {
	b := housed(t, gate.Limits{})
	feed := b.Subscribe(t.Context())
	for range 200 {
		l := b.begin()
		l.End(gate.Outcome{Status: journal.StatusDone})
	}
	// No event needs to follow for the gap to be known.
	last := events.Event{}
	for range 256 { // what the buffer holds
		last = <-feed
	}
	if last.Kind != events.Lost {
		t.Errorf("before a gap: %+v, want %q", last, events.Lost)
	}
	l := b.begin()
	if e := <-feed; e.Session != l.ID() {
		t.Errorf("after the gap: %+v", e)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
}

func TestInputThatIsKnownIsPartOfTheDigest(t *testing.T) {
	a := journal.Command{Argv: []string{"sh"}, Input: "data", InputSHA256: "aa"}
	b := a
	b.InputSHA256 = "bb"
	if a.Digest() == b.Digest() {
		t.Error("two inputs have one digest")
	}
}

func TestKnownInputIsReadFromTheRecord(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	content := []byte("shown")
	var out bytes.Buffer
	c := command(&out, "tee", "/dev/null")
	c.Input, c.Content, c.Stdin = "data", content, strings.NewReader("another")
	result := start(l, c)
	b.waiting(feed, l.ID())
	copy(content, "xxxxx") // the caller's bytes are no more the operation's
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	if out.String() != "shown" {
		t.Errorf("the command read %q", out.String())
	}
}

func TestWhatNoProgramTakesIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	cases := map[string]struct {
		change func(*gate.Start)
		want   error
	}{
		"no arguments":         {func(c *gate.Start) { c.Argv = nil }, syscall.EINVAL},
		"NUL in an argument":   {func(c *gate.Start) { c.Argv = []string{"true", "a\x00b"} }, syscall.EINVAL},
		"NUL in a variable":    {func(c *gate.Start) { c.Env = []string{"A=\x00"} }, syscall.EINVAL},
		"variable with no =":   {func(c *gate.Start) { c.Env = []string{"A"} }, syscall.EINVAL},
		"NUL in the directory": {func(c *gate.Start) { c.Dir = "/\x00" }, syscall.EINVAL},
		"relative directory":   {func(c *gate.Start) { c.Dir = "x" }, syscall.EINVAL},
		"unknown input":        {func(c *gate.Start) { c.Input = "tape" }, syscall.EINVAL},
		"too large":            {func(c *gate.Start) { c.Argv = []string{"true", strings.Repeat("x", 2<<20)} }, syscall.E2BIG},
		"no executable":        {func(c *gate.Start) { c.Executables = nil }, syscall.EINVAL},
		"not executable":       {func(c *gate.Start) { c.Executables = []string{"/nosuch", "/etc/passwd"} }, syscall.EACCES},
	}
	for name, c := range cases {
		start := command(io.Discard, "true")
		c.change(&start)
		if _, err := l.Start(t.Context(), start); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if s, _ := b.Session(l.ID()); len(s.Operations) != 0 {
		t.Errorf("operations %+v", s.Operations)
	}
}

func TestOfAVariableGivenTwiceTheLastCounts(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	c := command(io.Discard, "echo")
	c.Env = []string{"B=1", "A=1", "B=2"}
	p, err := l.Start(t.Context(), c)
	mustRun(t, p, err)
	s, _ := b.Session(l.ID())
	if env := s.Operations[0].Command.Env; strings.Join(env, " ") != "A=1 B=2" {
		t.Errorf("environment %q", env)
	}
}

func TestWhatTheScriptLeavesRunningEndsWithTheSession(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	if _, err := l.Start(t.Context(), command(io.Discard, "cat", "/dev/zero")); err != nil {
		t.Fatal(err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	s, _ := b.Session(l.ID())
	if o := s.Operations[0]; o.Finished.IsZero() || o.ExitCode == nil || *o.ExitCode != 137 {
		t.Errorf("operation %+v", o)
	}
	if _, err := l.Start(t.Context(), command(io.Discard, "echo")); err == nil {
		t.Error("a command started after the end of its session")
	}
}

func TestOperationThatNobodyWaitsForIsWithdrawn(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, err := l.Start(ctx, command(io.Discard, "true")); result <- err }()
	b.waiting(feed, l.ID())
	cancel()
	if err := <-result; err == nil {
		t.Fatal("it ran")
	}
	s, _ := b.Session(l.ID())
	if s.Status != journal.StatusRunning || s.Operations[0].Decision != journal.Cancelled {
		t.Errorf("session %+v", s)
	}
	if _, err := b.approve(l.ID(), alice); !errors.Is(err, journal.ErrNotWaiting) {
		t.Errorf("approval: %v, want ErrNotWaiting", err)
	}
}

func TestChangingWhatWasReturnedChangesNothing(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	feed := b.Subscribe(t.Context())
	var out bytes.Buffer
	result := start(l, command(&out, "printf", "one"))
	b.waiting(feed, l.ID())
	s, _ := b.Session(l.ID())
	s.Operations[0].Command.Argv[1] = "other"
	s, err := b.approve(l.ID(), alice)
	if err != nil {
		t.Fatal(err)
	}
	s.Operations[0].Command.Argv[1] = "other"
	r := <-result
	mustRun(t, r.process, r.err)
	if out.String() != "one" {
		t.Errorf("output %q", out.String())
	}
}

func TestIdsThatAreNoneReachNoFile(t *testing.T) {
	b := newBook(t)
	for _, id := range []string{"", "../../etc", "aaaaaaa", "AAAAAAAA", "aaaaaaa/", "aaaaaaal"} {
		if _, err := b.Session(id); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("session %q: %v", id, err)
		}
		if _, err := b.Follow(t.Context(), id, nil); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("follow %q: %v", id, err)
		}
		if err := b.OperationOutput(id, 1, nil); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("output of %q: %v", id, err)
		}
	}
}

func TestOutputsOfForgottenSessionsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	l := b.begin()
	_, _ = l.Stdout().Write([]byte("kept"))
	old := filepath.Join(dir, "output", "00000000.op1")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := approvals.New(b.config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("the output of a session that is not known is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "output", l.ID()+".out")); err != nil {
		t.Error(err)
	}
}
