package approvals_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// shellLine is a command line that is given to the target's shell.
func shellLine(text string) gate.Start {
	return gate.Start{Argv: []string{"sh", "-c", text}, Shell: true, Executables: []string{"sh"}, Dir: "/", Stdout: io.Discard, Stderr: io.Discard}
}

// program is a program with one word.
func program(name string) gate.Start {
	return gate.Start{Argv: []string{name, "x"}, Executables: []string{name}, Dir: "/", Input: "none", Stdout: io.Discard, Stderr: io.Discard}
}

// asksLine is asks for a command line.
func (g *granting) asksLine(t *testing.T, l *gate.Live, c gate.Start) (<-chan started, journal.Session) {
	t.Helper()
	events := g.Subscribe(t.Context())
	result := start(l, c)
	return result, g.waiting(events, l.ID())
}

// refusedStart reports whether a command waits for a human; it is then rejected.
func (g *granting) refusedStart(t *testing.T, l *gate.Live, c gate.Start) {
	t.Helper()
	result, s := g.asksLine(t, l, c)
	if op := s.Operations[len(s.Operations)-1]; op.Decision != journal.Waiting || op.Grant != 0 {
		t.Errorf("%q: the operation is %s, grant %d", c.Argv, op.Decision, op.Grant)
	}
	if _, err := g.Reject(context.Background(), s.ID, alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	<-result
}

func TestShapeGrantOfACommandLine(t *testing.T) {
	dir := t.TempDir()
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asksLine(t, l, shellLine("touch "+dir+"/a"))
	grant := g.approve(t, s, result, grants.Spec{Kind: grants.Shape, Vary: []int{1}, For: time.Hour})
	if want := "touch " + dir + "/<name>"; grant.Shape() != want || !strings.Contains(grant.String(), "a line of ") {
		t.Errorf("the shape is %q, want %q: %s", grant.Shape(), want, grant.String())
	}
	p, err := l.Start(l.Context(), shellLine("touch  "+dir+"/b"))
	mustRun(t, p, err)
	if !grant.CoversLine("touch "+dir+"/c", policy.Unknown) || grant.CoversLine("touch "+dir+"/c /x", policy.Unknown) || grant.CoversLine("rm "+dir+"/c", policy.Unknown) {
		t.Error("what the grant covers is not what it says")
	}
	for _, text := range []string{
		"touch " + dir + "/a/b", "touch " + dir + "/..", "touch " + dir + "/-a b", "touch " + dir, "touch " + dir + "/a " + dir + "/b", "rm " + dir + "/a",
		"touch " + dir + "/a;id", "touch " + dir + "/a\nid", "touch " + dir + "/$a", "touch " + dir + "/*", "touch '" + dir + "/a'", "touch " + dir + "/a >/dev/null",
		"X=1 touch " + dir + "/a", "/tmp/touch " + dir + "/a", "touch " + dir + "/a &", "touch " + dir + "/a # x", "touch " + dir + "/{a,b}", "touch " + dir + "/a|id",
	} {
		g.refusedStart(t, l, shellLine(text))
	}
	// The same words through another start are another command, and the other way round.
	g.refused(t, l, "touch", dir+"/c")
	bash := shellLine("touch " + dir + "/c")
	bash.Argv[0], bash.Executables = "bash", []string{"bash"}
	g.refusedStart(t, l, bash)
	elsewhere := shellLine("touch " + dir + "/c")
	elsewhere.Dir = "/usr"
	g.refusedStart(t, l, elsewhere)
	env := shellLine("touch " + dir + "/c")
	env.Env = append(g.target.Account().Env("dumb"), "PATH="+dir)
	g.refusedStart(t, l, env)
	if _, err := os.Stat(filepath.Join(dir, "c")); err == nil {
		t.Error("a command ran that the grant does not cover")
	}
}

// A shape is refused by what the program is. Each of these would run the program that a word names; none of them runs.
func TestShapeOfWhatRunsOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		python = "/bin/sh"
	}
	for _, name := range []string{"touch", "snake", "python3.11", "prlimit"} {
		if err := os.Symlink(python, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	g := newGranting(t, t.TempDir())
	shape := grants.Spec{Kind: grants.Shape, Vary: []int{1}}
	for name, c := range map[string]gate.Start{
		"a link of a known name":            program(filepath.Join(dir, "touch")),
		"a link of an unknown name":         program(filepath.Join(dir, "snake")),
		"an edition":                        program(filepath.Join(dir, "python3.11")),
		"a wrapper":                         program(filepath.Join(dir, "prlimit")),
		"nice":                              command(io.Discard, "nice", "x"),
		"xargs":                             command(io.Discard, "xargs", "x"),
		"a line of a shell":                 shellLine("sh x"),
		"a line of env":                     shellLine("env x"),
		"a line of xargs":                   shellLine("xargs x"),
		"a line of a path":                  shellLine(filepath.Join(dir, "touch") + " x"),
		"a line of a builtin":               shellLine("eval x"),
		"a line of another":                 shellLine("command x"),
		"a line of exec":                    shellLine("exec x"),
		"a shell's text that is no line":    shellLine("touch x; id"),
		"a shell's text with a quote":       shellLine("touch 'x'"),
		"a shell with another name for -c":  {Argv: []string{"touch", "-c", "x"}, Executables: []string{"sh"}, Dir: "/", Stdout: io.Discard, Stderr: io.Discard},
		"a shell that says to be a program": {Argv: []string{"touch", "x"}, Executables: []string{"sh"}, Dir: "/", Stdout: io.Discard, Stderr: io.Discard},
		"a program that says to be a shell": {Argv: []string{"sh", "-c", "touch x"}, Executables: []string{"nice"}, Dir: "/", Stdout: io.Discard, Stderr: io.Discard},
	} {
		l := g.beginAs(t, claude)
		result, s := g.asksLine(t, l, c)
		for _, vary := range [][]int{{1}, {2}} {
			shape.Vary = vary
			if _, made, err := g.ApproveGranting(context.Background(), s.ID, alice, 1, shown(t, g.Manager, s.ID), shape); err == nil {
				t.Errorf("%s: grant %s was made", name, made.String())
			}
		}
		if now, err := g.Session(s.ID); err != nil || now.Operations[0].Decision != journal.Waiting {
			t.Errorf("%s: it does not wait any more", name)
		}
		if _, err := g.Reject(context.Background(), s.ID, alice, nil, "no"); err != nil {
			t.Fatal(err)
		}
		<-result
	}
	if list := g.Grants(true); len(list) != 0 {
		t.Errorf("grants were made: %v", list)
	}
}

// dangerJudge is fixedJudge, to which what names the file last is dangerous.
type dangerJudge struct{ fixedJudge }

func (j dangerJudge) Argv(argv []string, c policy.Context) policy.Decision {
	d := j.fixedJudge.Argv(argv, c)
	if strings.HasSuffix(argv[len(argv)-1], "/last") {
		d.Risk = policy.Danger
	}
	return d
}

func (j dangerJudge) Shell(text string, c policy.Context) policy.Decision {
	return j.Argv(strings.Fields(text), c)
}

// What is dangerous asks for its target's name. A shape of what is not does not give that.
func TestShapeOfWhatIsNotDangerousCoversNoDanger(t *testing.T) {
	dir := t.TempDir()
	g := newGranting(t, t.TempDir())
	rules := gate.Rules{Judge: dangerJudge{}}
	rules.Limits.Grant = time.Hour
	g.SetRules(rules)
	l := g.beginAs(t, claude)
	result, s := g.asksLine(t, l, shellLine("touch "+dir+"/first"))
	grant := g.approve(t, s, result, grants.Spec{Kind: grants.Shape, Vary: []int{1}, For: time.Hour})
	p, err := l.Start(l.Context(), shellLine("touch "+dir+"/second"))
	mustRun(t, p, err)
	g.refusedStart(t, l, shellLine("touch "+dir+"/last"))
	if _, err := os.Stat(filepath.Join(dir, "last")); err == nil || grant.CoversLine("touch "+dir+"/last", policy.Danger) {
		t.Error("a dangerous command ran by a shape of one that is not")
	}
	result, s = g.asksLine(t, l, shellLine("touch "+dir+"/last"))
	grant = g.approve(t, s, result, grants.Spec{Kind: grants.Shape, Vary: []int{1}, For: time.Hour})
	p, err = l.Start(l.Context(), shellLine("touch "+dir+"/last"))
	mustRun(t, p, err)
	if !grant.Danger {
		t.Error("a shape of a dangerous command does not say so")
	}
}
