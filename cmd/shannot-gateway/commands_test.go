package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"shannot-gateway/internal/commandline"
)

var update = flag.Bool("update", false, "write the manual pages in docs/man anew")

// said runs a line of the executable within the test and returns what came of it.
func said(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &complaints}
	return p.run(t.Context(), args), out.String(), complaints.String()
}

// everyCommand calls visit for each command of the tree.
func everyCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range commandline.Children(cmd) {
		everyCommand(child, visit)
	}
}

func TestEveryCommandHasAPageWithItsFlagsAndAnExample(t *testing.T) {
	everyCommand((&program{}).root(), func(cmd *cobra.Command) {
		text := page(cmd)
		for line := range strings.SplitSeq(text, "\n") {
			if len([]rune(line)) > 80 {
				t.Errorf("the page of %s is too wide: %q", cmd.CommandPath(), line)
			}
		}
		if cmd.Short == "" || cmd.Example == "" && !cmd.HasAvailableSubCommands() {
			t.Errorf("%s has no description or no example", cmd.CommandPath())
		}
		for _, f := range commandline.Flags(cmd) {
			if f.Text == "" || !strings.Contains(text, "--"+f.Name) {
				t.Errorf("the page of %s does not describe --%s", cmd.CommandPath(), f.Name)
			}
			if f.Name != "help" && !strings.Contains(cmd.Use, "[flags]") && !strings.Contains(cmd.Use, "--"+f.Name) {
				t.Errorf("usage: %s %s does not name --%s", above(cmd), cmd.Use, f.Name)
			}
		}
		for _, line := range [][]string{append(path(cmd), "--help"), append(path(cmd), "-h"), append(path(cmd), "-help"), append([]string{"help"}, path(cmd)...)} {
			if status, stdout, stderr := said(t, line...); status != exitOK || stdout != text || stderr != "" {
				t.Errorf("%q ends with %d and says %q, %q", line, status, stdout, stderr)
			}
		}
	})
}

func TestAWrongLineIsAnsweredWithItsUsage(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"srve", "did you mean serve?\nusage: shannot-gateway COMMAND; see: shannot-gateway --help"},
		{"srve --config x", "did you mean serve?"},
		{"audit", "name a command: verify, accept\nusage: shannot-gateway audit COMMAND"},
		{"audit verfy --state x", "did you mean verify?"},
		{"audit verfy --help", "did you mean verify?"},
		{"serve --confg x", "did you mean --config?\nusage: shannot-gateway serve [--config FILE]"},
		{"serve -confg x", "did you mean --config?"},
		{"serve now", `what is "now" for?`},
		{"serve --config", "flag needs an argument: --config"},
		{"--frobnicate", "there is no flag --frobnicate"},
		{"serve -test.v", "there is no flag --test.v"},
		{"help srve", "did you mean serve?"},
		{"runtime install ruby", `there is no engine "ruby"`},
		{"runtime install --from x", "--from is for pypy"},
		{"targets trust", "the target's name is missing"},
		{"targets trust a b", `what is "b" for?`},
		{"audit verify --dir x", "--host-key"},
		{"audit accept", "--reason TEXT"},
		{"policy check \x1b[2J", `what is "\\x1b[2J" for?`},
		{"completion tcsh", "bash, zsh or fish"},
		{"man", "--dir is missing"},
	} {
		status, stdout, stderr := said(t, strings.Split(tt.line, " ")...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "usage: shannot-gateway") {
			t.Errorf("%q ends with %d and says %q, %q; want %q", tt.line, status, stdout, stderr, tt.want)
		}
	}
	if status, stdout, stderr := said(t); status != exitUsage || stdout != "" || !strings.Contains(stderr, "see it work") {
		t.Errorf("an empty line ends with %d and says %q, %q", status, stdout, stderr)
	}
}

// manFolder holds the manual pages of the repository.
const manFolder = "../../docs/man"

// The pages are generated: go test ./cmd/shannot-gateway -run TestManualPagesAreCurrent -update
func TestManualPagesAreCurrent(t *testing.T) {
	pages := manPages((&program{}).root())
	if *update {
		if err := os.RemoveAll(manFolder); err != nil {
			t.Fatal(err)
		}
		if err := writeMan(manFolder, pages); err != nil {
			t.Fatal(err)
		}
	}
	there, err := filepath.Glob(filepath.Join(manFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if pages[filepath.Base(name)] == nil {
			t.Errorf("%s is no page any more; run the test with -update", name)
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(manFolder, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/man/%s is not current (%v); run the test with -update", name, err)
		}
	}
}

func TestManualPagesAreWellFormed(t *testing.T) {
	dir := t.TempDir()
	if status, _, stderr := said(t, "man", "--dir", dir); status != exitOK {
		t.Fatal(stderr)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(names) < 30 {
		t.Fatalf("%d pages, %v", len(names), err)
	}
	for _, section := range []string{".TH ", ".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH \"EXIT STATUS\"\n", ".SH \"SEE ALSO\"\n"} {
		for _, name := range names {
			if text, err := os.ReadFile(name); err != nil || strings.Count(string(text), section) != 1 {
				t.Errorf("%s has not one %q, %v", name, section, err)
			}
		}
	}
	for _, checker := range [][]string{{"groff", "-man", "-Tutf8", "-ww", "-z"}, {"mandoc", "-Tlint", "-Wwarning"}} {
		if _, err := exec.LookPath(checker[0]); err != nil {
			t.Logf("%s is not on this machine", checker[0])
			continue
		}
		for _, name := range names {
			out, err := exec.Command(checker[0], append(slices.Clone(checker[1:]), name)...).CombinedOutput()
			for line := range strings.Lines(string(out)) {
				if !strings.Contains(line, "missing date") { // a page has none, so that the same program always makes the same pages
					t.Errorf("%s, %v: %s", checker[0], err, line)
				}
			}
		}
	}
}

func TestShellsTakeTheCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, script, stderr := said(t, "completion", shell)
		if status != exitOK || stderr != "" || !strings.Contains(script, cobra.ShellCompRequestCmd) {
			t.Fatalf("completion %s ends with %d: %s", shell, status, stderr)
		}
		name := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(name, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not on this machine", shell)
			continue
		}
		if out, err := exec.Command(shell, "-n", name).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}

func TestCompletionOffersCommandsFlagsAndNames(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	text := "state = \"" + dir + "\"\n[remotes.prod]\nhost = \"127.0.0.1\"\nuser = \"ops\"\n[remotes.web]\nhost = \"127.0.0.1\"\nuser = \"ops\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		words []string
		want  []string
	}{
		{[]string{"au"}, []string{"audit"}},
		{[]string{"audit", ""}, []string{"verify", "accept"}},
		{[]string{"serve", "--"}, []string{"--config", "--state", "--listen", "--help"}},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}},
		{[]string{"runtime", "install", ""}, []string{"native", "pypy"}},
		{[]string{"targets", "test", "--config", file, ""}, []string{"prod", "web"}},
		{[]string{"targets", "test", "--config", file, "prod", ""}, []string{"web"}},
		{[]string{"targets", "list", "--config", file, ""}, nil},
	} {
		status, stdout, _ := said(t, append([]string{cobra.ShellCompRequestCmd}, tt.words...)...)
		var got []string
		for line := range strings.Lines(stdout) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if status != exitOK || !slices.Equal(got, tt.want) {
			t.Errorf("%q is completed with %q (%d), want %q", tt.words, got, status, tt.want)
		}
		if strings.Contains(stdout, "`") {
			t.Errorf("%q: a description has quotes for its value: %q", tt.words, stdout)
		}
	}
}
