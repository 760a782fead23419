package approvals_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/targets/local"
)

// askedTarget notes which programs it is asked for.
type askedTarget struct {
	*local.Local
	mu    sync.Mutex
	names []string
}

func (a *askedTarget) Resolve(ctx context.Context, name, dir string) (string, error) {
	a.mu.Lock()
	a.names = append(a.names, name)
	a.mu.Unlock()
	return a.Local.Resolve(ctx, name, dir)
}

func (a *askedTarget) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.names)
}

// shellJudge says of all shell text the same.
type shellJudge struct {
	fixedJudge
	verdict policy.Verdict
}

func (j shellJudge) Shell(string, policy.Context) policy.Decision {
	return policy.Decision{Verdict: j.verdict, Risk: policy.Unknown, Reason: "as the test wants"}
}

// line is a command line as a client gives it.
func line(text string) gate.Start {
	return gate.Start{
		Argv: []string{"sh", "-c", text}, Shell: true, Executables: []string{"sh"}, Dir: "/", Input: journal.InputNone,
		Stdout: io.Discard, Stderr: io.Discard,
	}
}

// lineBook is a book with a target that notes what it is asked for, and a session on it.
func lineBook(t *testing.T, verdict policy.Verdict) (*book, *askedTarget, *gate.Live) {
	t.Helper()
	b := open(t, t.TempDir(), func(c *approvals.Config) {
		c.Judge = shellJudge{verdict: verdict}
		c.Grants = c.Blobs.(grants.Store)
	})
	target := &askedTarget{Local: b.target}
	l, err := b.Begin(t.Context(), approvals.Request{
		Identity: claude, Target: target, Script: "line", Shell: true, Env: target.Account().Env("dumb"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.End(gate.Outcome{Status: journal.StatusDone}) })
	return b, target, l
}

func TestTargetIsAskedForAProgramOnlyWhereAHumanWouldBe(t *testing.T) {
	for _, tt := range []struct {
		name    string
		verdict policy.Verdict
		line    string
		asked   []string
	}{
		{"allowed", policy.Allow, "true", []string{"sh"}},
		{"allowed and not there", policy.Allow, "nosuchprogram", []string{"sh"}},
		{"denied", policy.Deny, "nosuchprogram", []string{"sh"}},
		{"asked about and not there", policy.Ask, "nosuchprogram --flag", []string{"sh", "nosuchprogram"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, target, l := lineBook(t, tt.verdict)
			p, err := l.Start(t.Context(), line(tt.line))
			if err == nil {
				_, _ = p.Wait()
			}
			if got := target.asked(); !slices.Equal(got, tt.asked) {
				t.Errorf("the target was asked for %q, want %q", got, tt.asked)
			}
			var missing *gate.MissingError
			if want := tt.verdict == policy.Ask; errors.As(err, &missing) != want {
				t.Errorf("a program that is not there: %v, want %v (%v)", !want, want, err)
			}
			s, err := b.Session(l.ID())
			if err != nil {
				t.Fatal(err)
			}
			if tt.verdict == policy.Ask && (len(s.Operations) > 0 || s.Status != journal.StatusRunning) {
				t.Errorf("a human is asked: %s, %d operations", s.Status, len(s.Operations))
			}
		})
	}
}

// TestMissingProgramFailsInItsOwnWords: what the text names may be any bytes, and the error is printed.
func TestMissingProgramFailsInItsOwnWords(t *testing.T) {
	_, _, l := lineBook(t, policy.Ask)
	_, err := l.Start(t.Context(), line("no\u202eprogram"))
	var missing *gate.MissingError
	if !errors.As(err, &missing) {
		t.Fatal(err)
	}
	if got, want := missing.Error(), `no\u202eprogram: command not found on local; nothing was asked`; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// TestGrantedLineAsksTheTargetNothingMore also where its program is gone by now: it runs by the grant, and its shell says so.
func TestGrantedLineAsksTheTargetNothingMore(t *testing.T) {
	b, target, l := lineBook(t, policy.Ask)
	feed := b.Subscribe(t.Context())
	done := make(chan error, 1)
	go func() {
		p, err := l.Start(context.Background(), line("uname"))
		if err == nil {
			_, err = p.Wait()
		}
		done <- err
	}()
	s := b.waiting(feed, l.ID())
	_, _, err := b.ApproveGranting(t.Context(), l.ID(), alice, 1, decision.Approval{Waiting: s.WaitingDigest()}, grants.Spec{Kind: grants.Exact, For: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	before := target.asked()
	if want := []string{"sh", "uname"}; !slices.Equal(before, want) {
		t.Errorf("the target was asked for %q, want %q", before, want)
	}
	p, err := l.Start(t.Context(), line("uname"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := target.asked()[len(before):], []string{"sh"}; !slices.Equal(got, want) {
		t.Errorf("for the granted line the target was asked for %q, want %q", got, want)
	}
}
