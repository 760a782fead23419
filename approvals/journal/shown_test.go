package journal

import (
	"slices"
	"strings"
	"testing"

	"shannot-gateway/approvals/policy"
)

// shownRows are an operation's rows as people read them.
func shownRows(s *Session) (rows []string) {
	for _, d := range s.Shown(&s.Operations[0]) {
		for r := range d.Rows() {
			rows = append(rows, r.Label+"|"+r.Text.String())
		}
	}
	return rows
}

func sessionOf(argv ...string) *Session {
	return &Session{Identity: "claude", Name: "nightly", Analysis: "frees\nspace", Target: "prod", Operations: []Operation{{
		N: 1, Kind: CommandKind, Effect: "stops db", Undo: "no", Verdict: policy.Ask, Risk: policy.Caution, Why: "it changes units", Decision: Waiting, Digest: "d1",
		Command: &Command{Target: "prod", RunAs: "ops", Path: "/usr/bin/" + argv[0], Argv: argv, Dir: "/srv", Env: []string{"A=b"}, Input: InputNone},
	}}}
}

func TestWhatADecisionRestsOnComesFirst(t *testing.T) {
	rows := shownRows(sessionOf("systemctl", "stop", "db"))
	want := []string{
		"effect|stops db", "as user|ops on prod", "directory|/srv", "policy|ask (caution): it changes units", "undo|no",
		`asks|claude, in its own words: “nightly” “frees\nspace”`, "runs|systemctl stop db",
		"executable|/usr/bin/systemctl", "environment|unchanged", "stdin|none", "env 1|A=b", "digest|d1",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

func TestProgramThatIsNotTheExpectedOneIsNoDetail(t *testing.T) {
	for program, expected := range map[string]bool{
		"/usr/bin/systemctl": true, "/sbin/systemctl": true, "/usr/local/bin/systemctl": false, "/tmp/systemctl": false, "/usr/bin/other": false, "/usr/bin/x/systemctl": false,
	} {
		s := sessionOf("systemctl", "stop", "db")
		s.Operations[0].Command.Path = program
		for _, d := range s.Shown(&s.Operations[0]) {
			if d.Name == "executable" && (d.Section == ProofSection) != expected {
				t.Errorf("%s: expected %v", program, !expected)
			}
		}
	}
}

func TestWordsThatRunIntoEachOtherAreShownOneByOne(t *testing.T) {
	for _, argv := range [][]string{{"rm", ""}, {"rm", "two words"}, {"rm", "c\u0430t"}, {"rm", strings.Repeat("x", maxPlain)}, {"rm", "\x1b[2J"}} {
		if rows := shownRows(sessionOf(argv...)); !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, "argv[1]|") }) {
			t.Errorf("%q: %q", argv, rows)
		}
	}
}

func TestShellTextIsShownByCommandAndNothingOfItIsLost(t *testing.T) {
	long := strings.Repeat("test -e /srv/x; ", 39) + "rm -f /srv/x"
	s := sessionOf("sh", "-c", long)
	rows := shownRows(s)
	if !slices.Contains(rows, "shell 1|test -e /srv/x;  ×39") || !slices.Contains(rows, "shell 2| rm -f /srv/x") {
		t.Errorf("rows %q", rows)
	}
	for _, text := range []string{
		long, "cd /srv\nrm x", "", "\n\n", "if true; then rm -rf /srv/a/very/long/path/that/needs/more; else echo 'a; b; c' $(rm x; rm y); fi # and a remark",
		"cat <<E; rm x\n" + strings.Repeat("body; ", 30) + "\nE\nrm y", "\x00broken ( ' " + strings.Repeat("y; ", 50), strings.Repeat("(", 3000) + strings.Repeat("ü; ", 40), strings.Repeat("a|b&&", 2000) + "c",
	} {
		var lines []string
		rest := text
		for _, p := range shellPieces(text) {
			at := strings.Index(rest, p)
			if at < 0 || strings.Trim(rest[:at], "\n") != "" {
				t.Fatalf("%.60q: %q is not what comes next of %.60q", text, p, rest)
			}
			rest = rest[at+len(p):]
			lines = append(lines, p)
		}
		if strings.Trim(rest, "\n") != "" {
			t.Errorf("%.60q: %.60q is lost of %d pieces", text, rest, len(lines))
		}
	}
}
