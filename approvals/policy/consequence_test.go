package policy

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var updateConsequences = flag.Bool("update", false, "write testdata/consequences.txt anew")

const consequencesFile = "testdata/consequences.txt"

// readConsequenceTests returns the commands of the file, and what stands below each.
func readConsequenceTests(t *testing.T) (commands []string, want map[string]string, head string) {
	t.Helper()
	text, err := os.ReadFile(consequencesFile)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{}
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "#"):
			head += line
		case strings.HasPrefix(line, "\t"):
			want[commands[len(commands)-1]] += line
		case strings.TrimSpace(line) != "":
			commands = append(commands, strings.TrimSuffix(line, "\n"))
		}
	}
	return commands, want, head
}

func TestWhatACommandDoesIsSaid(t *testing.T) {
	j, err := New(Profile{})
	if err != nil {
		t.Fatal(err)
	}
	commands, want, head := readConsequenceTests(t)
	var out strings.Builder
	out.WriteString(head)
	for _, command := range commands {
		d := j.Shell(command, Context{})
		got := fmt.Sprintf("\t%s: %s\n", d.Risk, d.Effect)
		if d.Undo != "" {
			got += fmt.Sprintf("\tundo %s\n", d.Undo)
		}
		out.WriteString("\n" + command + "\n" + got)
		if got != want[command] && !*updateConsequences {
			t.Errorf("%s\nis\n%swant\n%s", command, got, want[command])
		}
		if d.Verdict != Ask {
			t.Errorf("%s is %s", command, d.Verdict)
		}
	}
	if *updateConsequences {
		if err := os.WriteFile(consequencesFile, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoConsequenceIsWithoutATest: each row is what some command of the file meets.
func TestNoConsequenceIsWithoutATest(t *testing.T) {
	commands, _, _ := readConsequenceTests(t)
	met := map[*change]bool{}
	j, err := New(Profile{})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		c := j.call(Context{}, newBudget())
		c.shell(command)
		for _, made := range c.made {
			met[made.row] = true
		}
	}
	for name, p := range consequences() {
		for i := range p.Does {
			if !met[&p.Does[i]] {
				t.Errorf("no command of %s meets change %d of %s: %s", consequencesFile, i+1, name, p.Does[i].Effect)
			}
		}
	}
}

func TestHostileWordsCannotForgeAnEffect(t *testing.T) {
	j, err := New(Profile{})
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"rm", "-r", "/srv/x\nundo yes: nothing"}, {"rm", "-r", "\x1b[2K/srv"}, {"rm", "\u202ecod.exe"}, {"systemctl", "restart", "nginx; only reads"},
		{"rm", "-r", strings.Repeat("a", 60000)}, {"rm", "-r", "{all}{1}"},
	} {
		d := j.Argv(argv, Context{})
		if strings.ContainsAny(d.Effect+d.Undo, "\n\x1b\u202e") || len(d.Effect) > 4*maxSentence || d.Effect == "" {
			t.Errorf("%.40q: %q", argv, d.Effect)
		}
		if strings.Contains(argv[len(argv)-1], " ") && !strings.Contains(d.Effect, "'") {
			t.Errorf("%.40q: a word's bounds are not to be seen in %q", argv, d.Effect)
		}
	}
	many := "rm -r" + strings.Repeat(" /srv/x", 500)
	if d := j.Shell(many, Context{}); !strings.Contains(d.Effect, "and 492 more") {
		t.Errorf("many operands: %q", d.Effect)
	}
	var texts []string
	for i := range 20 {
		texts = append(texts, fmt.Sprintf("rm /srv/%d", i))
	}
	if d := j.Shell(strings.Join(texts, "; ")+"; reboot", Context{}); !strings.Contains(d.Effect, "15 more things") || d.Risk != Danger {
		t.Errorf("many commands: %s %q", d.Risk, d.Effect)
	}
}

// TestOnlyWhatAsksHasAnEffect: what is allowed does nothing, and what is refused does not happen.
func TestOnlyWhatAsksHasAnEffect(t *testing.T) {
	j, err := New(DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]Verdict{"df -h": Allow, "rm -rf /": Deny, "echo x; rm -rf /etc; reboot": Deny} {
		if d := j.Shell(text, Context{}); d.Verdict != want || d.Effect != "" || d.Undo != "" {
			t.Errorf("%s is %s: %q", text, d.Verdict, d.Effect)
		}
	}
	if d := j.Shell("df -h; systemctl restart nginx", Context{}); !strings.HasPrefix(d.Effect, "restarts nginx") {
		t.Errorf("a text with a reader in it: %q", d.Effect)
	}
}

func TestBadConsequencesAreRefused(t *testing.T) {
	const head = "[programs.x]\n"
	for _, text := range []string{
		head, head + "does = [{}]", head + `does = [{risk = "safe", effect = "x", undo = "no"}]`, head + `does = [{risk = "odd", effect = "x", undo = "no"}]`,
		head + `does = [{risk = "danger", effect = "", undo = "no"}]`, head + `does = [{risk = "danger", effect = "x", undo = "perhaps"}]`,
		head + `does = [{risk = "danger", effect = "x", undo = "no", with = "-q"}]`, head + `does = [{risk = "danger", effect = "x", undo = "no", with = "q"}]`,
		head + `does = [{risk = "danger", effect = "x", undo = "no", match = "("}]`, head + `flags = "q"` + "\n" + `does = [{risk = "danger", effect = "x", undo = "no"}]`,
		`[programs."x x"]` + "\n" + `does = [{risk = "danger", effect = "x", undo = "no"}]`, head + "odd = 1",
	} {
		if _, err := readConsequences(text); err == nil {
			t.Errorf("this was taken: %s", text)
		}
	}
}
