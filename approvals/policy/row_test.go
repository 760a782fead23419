package policy

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// everything is a judge with every program of the table in its list.
func everything(t *testing.T) *Judge {
	t.Helper()
	p := Profile{}
	for name := range builtinTable().programs {
		if !strings.ContainsAny(name, "[") {
			p.AutoApprove = append(p.AutoApprove, name)
		}
	}
	p.AutoApprove = append(p.AutoApprove, "env")
	j, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// rowTest is a line of testdata/rows.txt.
type rowTest struct {
	allow         bool
	name          string // of the program
	text, because string
}

func readRowTests(t *testing.T) []rowTest {
	t.Helper()
	text, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []rowTest
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		command, because, _ := strings.Cut(line[2:], " => ")
		all = append(all, rowTest{line[0] == '+', strings.Fields(command)[0], command, because})
	}
	return all
}

func TestEachRowOfTheTable(t *testing.T) {
	j := everything(t)
	for _, tt := range readRowTests(t) {
		d := j.Shell(tt.text, Context{})
		if want := map[bool]Verdict{true: Allow, false: Ask}[tt.allow]; d.Verdict != want {
			t.Errorf("%s is %s (%s), want %s", tt.text, d.Verdict, d.Reason, want)
		}
		if !tt.allow && (tt.because == "" || !strings.Contains(d.Reason, tt.because)) {
			t.Errorf("%s asks because %q, want %q in it", tt.text, d.Reason, tt.because)
		}
	}
}

// TestNoRowIsWithoutATest: a row needs a use that is allowed and one that asks. What only reads needs the first, what
// never runs unattended the second.
func TestNoRowIsWithoutATest(t *testing.T) {
	var allowed, asked []string
	rowOf := func(name string) string { // names of one row share its tests
		for other, g := range builtinTable().programs {
			if g == builtinTable().programs[name] && other < name {
				name = other
			}
		}
		return name
	}
	for _, tt := range readRowTests(t) {
		if tt.allow {
			allowed = append(allowed, tt.name, rowOf(tt.name))
		} else {
			asked = append(asked, tt.name, rowOf(tt.name))
		}
	}
	for name, g := range builtinTable().programs {
		if !slices.Contains(allowed, rowOf(name)) {
			t.Errorf("no line of testdata/rows.txt shows what %s may do", name)
		}
		if !g.any && !slices.Contains(asked, rowOf(name)) {
			t.Errorf("no line of testdata/rows.txt shows what %s may not do", name)
		}
	}
	for name, w := range wrappers {
		if !slices.Contains(asked, name) || !w.asks && !slices.Contains(allowed, name) {
			t.Errorf("testdata/rows.txt lacks a line for the wrapper %s", name)
		}
	}
	for name := range starters {
		if !slices.Contains(asked, name) {
			t.Errorf("testdata/rows.txt lacks a line for %s", name)
		}
	}
}

// TestEveryDefaultProgramHasARow: a listed program without a row would run with any words.
func TestEveryDefaultProgramHasARow(t *testing.T) {
	j, err := New(DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	for name, entries := range j.approve {
		_, row := j.programs[name]
		_, wrapper := wrappers[name]
		if !row && !wrapper {
			t.Errorf("%s is in the default list and not in the table", name)
		}
		for _, words := range entries {
			if len(words) > 0 {
				t.Errorf("the default list holds more than a name: %s %q", name, words)
			}
		}
	}
}

// TestVersionFlagsAreOfNoUseWithOtherWords: only a flag that stands alone is a question for the version.
func TestVersionFlagsAreOfNoUseWithOtherWords(t *testing.T) {
	j, err := New(Profile{})
	if err != nil {
		t.Fatal(err)
	}
	for name, flags := range j.versions {
		for flag := range flags {
			if d := j.Argv([]string{name, flag}, Context{}); d.Verdict != Allow {
				t.Errorf("%s %s is %s: %s", name, flag, d.Verdict, d.Reason)
			}
			for _, argv := range [][]string{{name, flag, "x"}, {name, "x", flag}, {"./" + name, flag}} {
				if d := j.Argv(argv, Context{}); d.Verdict == Allow {
					t.Errorf("%q is allowed: %s", argv, d.Reason)
				}
			}
		}
	}
}

func TestAbbreviationOfAHarmfulFlagAsks(t *testing.T) {
	j := everything(t)
	for name, g := range builtinTable().programs {
		for long, k := range g.flags {
			if k != harmfulFlag || !strings.HasPrefix(long, "--") {
				continue
			}
			for n := len("--x"); n <= len(long); n++ {
				if exact := g.flags[long[:n]]; exact != unknownFlag && exact != harmfulFlag {
					continue
				}
				for _, word := range []string{long[:n], long[:n] + "=x"} {
					if d := j.Argv([]string{name, word}, Context{}); d.Verdict == Allow {
						t.Errorf("%s %s is allowed", name, word)
					}
				}
			}
		}
	}
}

func TestBadTableIsRefused(t *testing.T) {
	for _, text := range []string{
		`programs = 3`, `[programs.x]` + "\n" + `flags = "-a -a="` + "\n" + `unknown = 1`,
		`[programs.x]` + "\n" + `flags = "-a? -a="`, `[programs.x]` + "\n" + `flags = "a"`, `[programs.x]` + "\n" + `flags = "--"`,
		`[programs.x]` + "\n" + `flags = "-a"` + "\n" + `writes = "-a"`, `[programs.x]` + "\n" + `need = "-a"`,
		`[programs.x]` + "\n" + `operands = "some"`, `[programs.x]` + "\n" + `operands = -1`, `[programs.x]` + "\n" + `operands = 1.5`,
		`[programs.x]` + "\n" + `match = "("`, `[programs.x]` + "\n" + `operands = 1` + "\n" + `subcommands.a = {}`,
		`[programs.x]` + "\n" + `subcommands."a a" = {}`, `[programs.x]` + "\n" + `subcommands." " = {}`, `[programs.x]` + "\n" + `subcommands.-a = {}`,
		`[programs.x]` + "\n" + `beside."-a" = "-b"`, `[programs.x]` + "\n" + `flags = "-a"` + "\n" + `beside."-a" = ""`,
		`any = "x"` + "\n" + `[programs.x]`, `[programs.x]` + "\n" + `flags = "-é"`,
		`[programs.x]` + "\n" + `flags = "` + strings.Repeat("-a ", maxRowText) + `"`,
		`[programs.x.subcommands.a.subcommands.a.subcommands.a.subcommands.a.subcommands.a]`,
	} {
		if _, err := readTable(text); err == nil {
			t.Errorf("this was taken: %.80s", text)
		}
	}
}

func TestRowsOfAUser(t *testing.T) {
	p := Profile{
		AutoApprove: []string{"git log", "ls"},
		Programs: map[string]Program{
			"mytool": {Flags: "-v -n= --all", Writes: "-o --out", Subcommands: map[string]Program{
				"status show": {Flags: "-l", Operands: int64(1), Match: `[a-z]+`}, "log": {Operands: "any"}}},
			"ls":  {Flags: "-l", Operands: "any"},
			"git": {Flags: "--no-pager", Subcommands: map[string]Program{"log": {Operands: "any"}, "status": {}}},
		},
	}
	j, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]Verdict{
		"mytool status": Allow, "mytool -v status": Allow, "mytool -n 3 show -l x": Allow, "mytool log a b": Allow,
		"mytool": Ask, "mytool -o x status": Ask, "mytool status X": Ask, "mytool status a b": Ask, "mytool drop": Ask,
		"mytool --al status": Ask, "mytool $(x) status": Ask, "./mytool status": Ask, "/srv/mytool status": Ask, "mytool log > x": Ask,
		"ls -l x": Allow, "ls -a": Ask, // the user's row takes the place of the built-in one
		"git log": Allow, "git status": Ask, // the list says log only
		"sudo mytool status": Ask, "df": Ask,
	} {
		if d := j.Shell(text, Context{}); d.Verdict != want {
			t.Errorf("%s is %s (%s), want %s", text, d.Verdict, d.Reason, want)
		}
	}
	// Nothing of it reached the built-in table.
	if d := everything(t).Shell("ls -a", Context{}); d.Verdict != Allow {
		t.Errorf("another judge says %s: %s", d.Verdict, d.Reason)
	}
}

func TestRowOfAUserForWhatTheShellOrAJudgeOfItsOwnReadsIsRefused(t *testing.T) {
	for _, name := range []string{"sh", "bash", "python3", "sudo", "env", "xargs", "eval", "awk", "sed", "find", "test", "[", "printf", "cd", "read",
		"", "/bin/ls", "a b", "-x", "x\x00"} {
		if _, err := New(Profile{Programs: map[string]Program{name: {Any: true}}}); err == nil {
			t.Errorf("a row for %q was taken", name)
		}
	}
	if _, err := New(Profile{Programs: map[string]Program{"x": {Flags: "a"}}}); err == nil || !strings.Contains(err.Error(), "programs.x") {
		t.Errorf("the error is %v, without the row's name", err)
	}
}

// FuzzRow: no row makes the package panic, and what a row's harmful flag forbids is never allowed.
func FuzzRow(f *testing.F) {
	f.Add("-a -n= --all --color?", "-o --out", "any", "[a-z]*", "x -a -n 3 --all")
	f.Add("-abc", "*", "", "(", "x")
	f.Fuzz(func(t *testing.T, flags, writes, operands, match, text string) {
		row := Program{Flags: flags, Writes: writes, Match: match, Operands: operands, Abbreviates: true}
		j, err := New(Profile{Programs: map[string]Program{"x": row}})
		if err != nil {
			return
		}
		j.Shell(text, Context{})
		for _, flag := range strings.Fields(writes) {
			if flag == "*" {
				continue
			}
			if d := j.Argv([]string{"x", flag}, Context{}); d.Verdict == Allow {
				t.Errorf("x %q is allowed with %+v", flag, row)
			}
		}
	})
}
