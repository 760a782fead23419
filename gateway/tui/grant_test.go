package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/rollback"
)

func TestGrantIsSpelledOutBeforeItIsGiven(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "restart", "app"))
	s := openScreen(t, f, alice, 100, 30, "aaaa0001")
	s.until("All of it has been shown")
	s.press("t")
	s.until("let this run without asking from then on?", "session aaaa0001: systemctl restart app (exact, /usr/bin/systemctl in /srv as ops)", "y yes, run it and grant that")
	s.press("2")
	s.until("session aaaa0001: systemctl restart <name> (shape", "2 * app")
	s.press("\x1b[C", "\x1b[C")
	s.until("claude on prod until 2031-03-04T04:00:00Z: systemctl restart <name> (shape")
	s.press("9", "0", "a", "r", "A")
	s.shows("<name>")
	if len(f.approved)+len(f.granted) > 0 {
		t.Fatal("decided without a y")
	}
	s.press("y")
	s.until("approved, runs · Grant 7 is in force; revoke 7 takes it back.")
	if len(f.granted) != 1 || f.granted[0].Kind != grants.Shape || !f.granted[0].Until.Equal(start.Add(time.Hour)) || len(f.approved) != 1 {
		t.Fatalf("granted %+v, approved %q", f.granted, f.approved)
	}
}

func TestWhatCannotBeGrantedSaysWhy(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	f.grantErr = fmt.Errorf("operation 1 %w: its standard input\x1b[2J is not known", grants.ErrBadGrant)
	s := openScreen(t, f, alice, 100, 30, "aaaa0001")
	s.until("All of it has been shown")
	s.press("t")
	s.until(`cannot be granted: its standard input\x1b[2J is not known`)
	s.press("y")
	s.shows("It cannot be granted like that")
	s.press("esc")
	s.shows("a approve")
	if len(f.approved) > 0 {
		t.Fatal("approved")
	}
}

func TestLongGrantIsReadToItsEndFirst(t *testing.T) {
	argv := []string{"touch"}
	for i := range 30 {
		argv = append(argv, fmt.Sprintf("/srv/a/long/name/of/a/file%d", i))
	}
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	s := openScreen(t, f, alice, 40, 12, "aaaa0001")
	s.until("approve is off")
	s.press("t")
	s.shows("Not yet")
	for range 60 {
		s.press("space")
	}
	s.press("t")
	s.until("session aaaa0001: touch")
	s.press("y")
	s.shows("Not yet: space shows the rest")
	s.press("G", "y")
	s.shows("Not yet") // the end alone is not all of it
	for range 30 {
		s.press("space")
	}
	s.shows("y yes, run it and grant that")
	s.press("1", "g") // something else: read it again
	s.until("touch <name>")
	s.press("y")
	s.shows("Not yet")
	if len(f.approved) > 0 {
		t.Fatal("granted what was not read")
	}
}

func TestDangerousGrantNeedsTheTargetsName(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Danger, "rm", "-r", "/srv/x"))
	s := openScreen(t, f, alice, 100, 30, "aaaa0001", undoable)
	s.until("All of it has been shown")
	s.press("t")
	s.until("(exact")
	s.press("y")
	s.shows("Type the target's name", "And from then on, without asking:", "session aaaa0001: rm -r /srv/x (exact")
	s.press("prod", "enter")
	s.shows("Approving operation 1")
	s.press("u")
	s.shows("Undone")
	if len(f.granted) > 0 {
		t.Fatal("granted though undone")
	}
}

// ended is a session that has changed a file.
func ended() *fakeBackend {
	f := filesNight()
	x := f.find("f1l3s0aa")
	x.Status, x.Ended, x.Deadline = journal.StatusDone, start, time.Time{}
	for i := range x.Operations {
		op := &x.Operations[i]
		op.Decision, op.By, op.Started, op.Finished = journal.Approved, "alice", start, start
	}
	f.steps = []rollback.Step{{Path: "/etc/app.conf", Summary: render.Own("write /etc/app.conf (as it was, 100 bytes)")}}
	return f
}

func openEnded(t *testing.T, f *fakeBackend, width, height int) *screen {
	t.Helper()
	s := openScreen(t, f, alice, width, height, "f1l3s0aa")
	s.until("done")
	return s
}

func TestRollbackShowsItsPlanFirst(t *testing.T) {
	f := ended()
	s := openEnded(t, f, 80, 24)
	s.shows("z roll back")
	s.press("z")
	s.until("Roll back session f1l3s0aa on prod?", "1  write /etc/app.conf (as it was, 100 bytes)", "y roll back")
	s.press("n", "z")
	s.until("y roll back")
	if len(f.rolled) > 0 {
		t.Fatal("rolled back without a y")
	}
	s.press("y")
	s.until("Rolled back: 1 steps on files. NOT undone: what the 1 commands that ran did themselves.", "rolled back")
	s.press("z")
	s.shows("It was rolled back already")
	if want := []string{"f1l3s0aa by alice force false"}; !slices.Equal(f.rolled, want) {
		t.Fatalf("rolled back %q, want %q", f.rolled, want)
	}
}

func TestRollbackOverwritesChangesOfOthersOnlyForTheTargetsName(t *testing.T) {
	f := ended()
	f.steps = append(f.steps, rollback.Step{Path: "/etc/x", Summary: render.Own("delete /etc/x"), Problem: render.Own("it has changed since"), Forced: true})
	s := openEnded(t, f, 80, 24)
	s.press("z")
	s.until("it has changed since", "Files have changed since")
	s.press("y")
	s.press("F")
	s.shows("is overwritten. Type the target's name, prod")
	s.press("nope", "enter")
	s.shows("not the target's name")
	s.press("ctrl+u", "prod", "enter")
	s.until("Rolled back: 2 steps on files.")
	if want := []string{"f1l3s0aa by alice force true"}; !slices.Equal(f.rolled, want) {
		t.Fatalf("rolled back %q, want %q", f.rolled, want)
	}
}

func TestLongRollbackPlanIsReadFirst(t *testing.T) {
	f := ended()
	for range 50 {
		f.steps = append(f.steps, rollback.Step{Summary: render.Own("delete /srv/x")})
	}
	s := openEnded(t, f, 40, 12)
	s.press("z")
	s.until("1  write /etc/app.conf")
	s.press("y")
	s.shows("Not yet")
	for range 20 {
		s.press("pgdn")
	}
	s.press("y")
	s.until("Rolled back: 51 steps on files.")
}

func TestRollbackThatFailsSaysWhy(t *testing.T) {
	f := ended()
	s := openEnded(t, f, 80, 24)
	s.press("z")
	s.until("y roll back")
	f.mu.Lock()
	f.steps[0].Problem = render.Own("it has changed just now")
	f.mu.Unlock()
	s.press("y")
	s.until("Not rolled back: changed since", "it has changed just now", "F overwrite")
	if len(f.rolled) > 0 {
		t.Fatal("rolled back")
	}
}

func TestOnlyEndedSessionsOfOthersAreRolledBack(t *testing.T) {
	f := filesNight()
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	s.press("z")
	s.shows("It has not ended")
	f = ended()
	f.find("f1l3s0aa").Identity = alice.Name
	s = openEnded(t, f, 80, 24)
	s.press("z")
	s.shows("Your own session")
	s.hides("z roll back")
}

func TestGrantThatFailsAfterTheApprovalIsSaid(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	m := surroundings{backend: brokenGrants{f}, me: alice, ctx: t.Context()}
	msg := m.decideOn(verdict{approve: true, grant: &grantAsked{}, subjects: []subject{{session: "aaaa0001", n: 1, digest: fmt.Sprintf("%064x", 1)}}})
	if text := reported(&msg).plain(); !strings.Contains(text, "approved, runs · It was not granted: ") || strings.Contains(text, "\x1b") {
		t.Fatalf("said %q", text)
	}
}

// brokenGrants approves and then cannot keep the grant.
type brokenGrants struct{ *fakeBackend }

func (b brokenGrants) ApproveGranting(ctx context.Context, id string, by journal.Identity, _ int, a decision.Approval, _ grants.Spec) (journal.Session, grants.Grant, error) {
	s, err := b.Approve(ctx, id, by, a)
	return s, grants.Grant{}, errors.Join(err, fmt.Errorf("%w: the disk\x1b is full", grants.ErrNotGranted))
}

// reported is what the screen says of the first decision of a verdict.
func reported(msg *decidedMsg) line {
	var r results
	r.take(msg, msg.explain)
	return r.list[0].line(200)
}
