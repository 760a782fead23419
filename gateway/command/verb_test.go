package command

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/internal/commandline"
)

// everyRole is an identity of each role.
var everyRole = []journal.Identity{
	hostileAgent, approver, {Name: "root", Role: journal.Admin, Fingerprint: "SHA256:root"},
}

// said runs a line and returns what came of it.
func (h *hostileHouse) said(t *testing.T, by journal.Identity, line string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	status = h.verbs.Run(t.Context(), &Call{Identity: by, Targets: []string{"local"}, Line: line, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaints})
	return status, out.String(), complaints.String()
}

func TestEveryVerbHasAPageWithItsFlagsAndAnExample(t *testing.T) {
	h := newHostileHouse(t)
	for _, r := range table() {
		v := r.make()
		if v.Name() != r.name || v.Short == "" || v.Long == "" && !v.Hidden || v.Example == "" && !v.Hidden {
			t.Errorf("%s: the description is not whole: %+v", r.name, v.Command)
		}
		page := commandline.Page(sshHost, v.Command)
		fits(t, r.name, page, 1000)
		for _, f := range commandline.Flags(v.Command) {
			if f.Text == "" || !strings.Contains(page, "--"+f.Name) {
				t.Errorf("%s: its page does not describe --%s", r.name, f.Name)
			}
			if f.Name != "help" && !strings.Contains(v.Use, "[flags]") && !strings.Contains(v.Use, "--"+f.Name) {
				t.Errorf("usage: %s does not name --%s", v.Use, f.Name)
			}
		}
		for _, by := range everyRole {
			for _, line := range []string{r.name + " --help", r.name + " -h", r.name + " -help", "help " + r.name} {
				status, stdout, stderr := h.said(t, by, line)
				if v.Hidden && strings.HasPrefix(line, "help") {
					continue
				}
				if status != ExitOK || stdout != page || stderr != "" {
					t.Errorf("%s: %q ends with %d and says %q, %q", by.Name, line, status, stdout, stderr)
				}
			}
		}
	}
}

func TestThePageOfARoleNamesAllThatTheRoleCanDo(t *testing.T) {
	h := newHostileHouse(t)
	for _, by := range everyRole {
		status, page, _ := h.said(t, by, "help")
		if status != ExitOK {
			t.Errorf("help of the %s ends with %d", by.Role, status)
		}
		fits(t, string(by.Role), page, 24)
		words := strings.FieldsFunc(page, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz", r) })
		for _, r := range table() {
			if v := r.make(); v.Hidden {
				continue
			}
			if may, named := slices.Contains(r.roles, by.Role), slices.Contains(words, r.name); may && !named {
				t.Errorf("help of the %s does not name %s:\n%s", by.Role, r.name, page)
			}
		}
	}
	_, page, _ := h.said(t, approver, "help")
	for _, verb := range []string{"grants", "revoke"} {
		if !strings.Contains(page, "ssh HOST "+verb) {
			t.Errorf("an approver is not told about %s", verb)
		}
	}
}

// fits fails for a page that is larger than a terminal.
func fits(t *testing.T, name, page string, rows int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	if len(lines) > rows {
		t.Errorf("the page of %s has %d lines, %d at most:\n%s", name, len(lines), rows, page)
	}
	for _, line := range lines {
		if len([]rune(line)) > 80 {
			t.Errorf("the page of %s is too wide: %q", name, line)
		}
	}
}

// What a line means, to the letter: words, flags that are set, and shell text.
func TestGrammar(t *testing.T) {
	type means struct {
		words   []string
		set     string // flags, as --name=value
		command string
	}
	for line, want := range map[string]means{
		// The script's own arguments are nobody else's business.
		"run":                           {},
		"run -":                         {words: []string{"-"}},
		"run - --json --help -c x -- y": {words: []string{"-", "--json", "--help", "-c", "x", "--", "y"}},
		"run --json - -v":               {words: []string{"-", "-v"}, set: "--json=true"},
		"run -- - --json":               {words: []string{"-", "--json"}},
		"run -c 'print(1)' --json":      {words: nil, set: "--code=print(1) --json=true"},
		"run -c CODE a --json":          {words: []string{"a", "--json"}, set: "--code=CODE"},
		"run -c=CODE":                   {set: "--code=CODE"},
		"run --c CODE":                  {set: "--code=CODE"},
		// The words of the project that this one continues.
		"run --script-name disk --dry-run --json-output -": {words: []string{"-"}, set: "--json=true --name=disk --submit=true"},
		"exec --dry-run -- df":                             {command: "df", set: "--submit=true"},
		"exec -c x -- df":                                  {set: "error"},
		"run --c=CODE":                                     {set: "--code=CODE"},
		"run -c --help":                                    {set: "--code=--help"},
		"run -c -json":                                     {set: "--code=-json"},
		"run --name --plan -":                              {words: []string{"-"}, set: "--name=--plan"},
		"run -name -plan -json -":                          {words: []string{"-"}, set: "--json=true --name=-plan"},
		"run -plan=false --wait=30s -wait 5m":              {set: "--plan=false --wait=5m0s"},
		// Shell text is not taken apart.
		"exec -- df -h /":                     {command: "df -h /"},
		"exec df -h -- /":                     {command: "df -h -- /"},
		"exec --json --target a  --  list -h": {set: "--json=true --target=a", command: "list -h"},
		"exec -target a -- echo 'x":           {set: "--target=a", command: "echo 'x"},
		"policy -- rm -rf / --help":           {command: "rm -rf / --help"},
		"policy ls 'x":                        {command: "ls 'x"},
		// Flags stand before, between and after words.
		"show x7 --json":                                    {words: []string{"x7"}, set: "--json=true"},
		"show --json x7 -reads":                             {words: []string{"x7"}, set: "--json=true --reads=true"},
		"show -- --json":                                    {words: []string{"--json"}},
		"wait x7 --wait 0":                                  {words: []string{"x7"}, set: "--wait=0s"},
		"wait --wait -json x7":                              {set: "error"},
		"reject x7 --op 1 2 --reason it is too broad":       {words: []string{"x7", "2", "is", "too", "broad"}, set: "--op=1 --reason=it"},
		"reject x7 --op 1,2 --op 2 -op 3 --reason --all is": {words: []string{"x7", "is"}, set: "--op=1,2,3 --reason=--all"},
		"reject x7 --reason - dash":                         {words: []string{"x7", "dash"}, set: "--reason=-"},
		"approve x7 --digest 0123 --danger a,b --danger c":  {words: []string{"x7"}, set: "--danger=a,b,c --digest=0123"},
		"approve --undo 0s -plain --colors none":            {set: "--colors=none --plain=true --undo=0s"},
		"approve x7 -digest 0123 --grant shape --vary 1,2":  {words: []string{"x7"}, set: "--digest=0123 --grant=shape --vary=1,2"},
		"revoke 1 2 3":                                      {words: []string{"1", "2", "3"}},
		"help run":                                          {words: []string{"run"}},
		"  list\t--all\n":                                   {set: "--all=true"},
	} {
		name, rest := firstWord(line)
		r, ok := find(name)
		if !ok {
			t.Errorf("%q: there is no verb", line)
			continue
		}
		c := &invocation{Call: &Call{Line: line}, verb: r.make(), rest: rest}
		if err := c.parse(); err != nil {
			if want.set != "error" {
				t.Errorf("%q: %v", line, err)
			}
			continue
		}
		var set []string
		c.verb.Flags().Visit(func(f *pflag.Flag) { set = append(set, "--"+f.Name+"="+f.Value.String()) })
		slices.Sort(set)
		if got := strings.Join(set, " "); got != want.set || !slices.Equal(c.words, want.words) || c.command != want.command {
			t.Errorf("%q: words %q, flags %q, command %q; want %q, %q, %q", line, c.words, got, c.command, want.words, want.set, want.command)
		}
	}
}

// A line whose first word is no verb is for a shell of the target, whatever stands in it.
func TestOtherWordsAreAShellsLine(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "run": "run", "list --help": "list", " \tshow x": "show", "__complete list": "shell", "completion bash": "shell", "--help": "shell",
		"-h": "shell", "List": "shell", "lists": "shell", "list;id": "shell", "'list'": "shell", `"run" -`: "shell", "/usr/bin/list": "shell",
		"df -h /": "shell", "python3 - -h": "python3", "python3 -c 1": "python3", "python3 --help": "shell", "python3 x.py": "shell", "LANG=C list": "shell",
	} {
		if got := VerbOf(line); got != want {
			t.Errorf("%q is taken for %q, want %q", line, got, want)
		}
	}
}

func TestAMistakeIsAnsweredWithWhatWasMeant(t *testing.T) {
	h := newHostileHouse(t)
	for _, tt := range []struct {
		by     journal.Identity
		line   string
		status int
		want   string
	}{
		{hostileAgent, "list --al", ExitUsage, "did you mean --all?"},
		{hostileAgent, "list --jsno", ExitUsage, "did you mean --json?"},
		{hostileAgent, "list -jsno", ExitUsage, "did you mean --json?"},
		{hostileAgent, "list --frobnicate", ExitUsage, "list: there is no flag --frobnicate\nshannot: usage: list [--all] [--json]; see: list --help"},
		{hostileAgent, "list -test.v", ExitUsage, "there is no flag --test.v"},
		{hostileAgent, "list now", ExitUsage, `what is "now" for?`},
		{hostileAgent, "run x.py", ExitUsage, `what is "x.py" for? A script comes on stdin`},
		{hostileAgent, "help lsit", ExitUsage, "did you mean list?"},
		{hostileAgent, "list 'x", ExitUsage, "a quote is not closed"},
		{hostileAgent, "exec --wait 3s df -h", ExitUsage, "write -- before the command"},
		{hostileAgent, "exec", ExitUsage, "the command is missing"},
		{approver, "aprove x7", ExitNotPermitted, "aprove is not a verb of the gateway, so it was taken for a command; did you mean approve?"},
		{approver, "lst --all", ExitNotPermitted, "did you mean list?"},
		{approver, "approve x7 --digest 0123456789ab --plain", ExitUsage, "--plain is for the approval screen"},
		{approver, "approve --colours none", ExitUsage, "did you mean --colors?"},
		{approver, "run --frobnicate", ExitNotPermitted, "may not run scripts"}, // before anything else
		{approver, "run 'x", ExitNotPermitted, "may not run scripts"},
	} {
		status, stdout, stderr := h.said(t, tt.by, tt.line)
		if status != tt.status || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: %q ends with %d and says %q, %q; want %d, %q", tt.by.Name, tt.line, status, stdout, stderr, tt.status, tt.want)
		}
	}
	if _, _, stderr := h.said(t, approver, "uptime"); strings.Contains(stderr, "did you mean") {
		t.Errorf("a command that is near no verb: %q", stderr)
	}
}

// maxAnswer bounds what a line that is wrong is answered with, in bytes: a rendered byte takes at most four, a cell at most
// four bytes.
const maxAnswer = 8 << 10

// manyFlags are lines as long as one may be.
func manyFlags() []string {
	const n = 100_000
	return []string{
		"list" + strings.Repeat(" --all", n), "list" + strings.Repeat(" -x", n), "list --" + strings.Repeat("x", n), "list " + strings.Repeat("\x1b[2J", n),
		"list -" + strings.Repeat("h", n) + "x", "run" + strings.Repeat(" -", n), "approve x7" + strings.Repeat(" --op 1", n), "reject x7 --op " + strings.Repeat("1,", n),
		"approve x7 --danger " + strings.Repeat("a,", n), "show " + strings.Repeat("x ", n), "show '" + strings.Repeat("\u202e", n) + "'", "wait x7 --wait " + strings.Repeat("9", n),
		"run --target " + strings.Repeat("\x07", n) + " -c 1", "run --target " + strings.Repeat("x,", n) + " -c 1", "run --engine " + strings.Repeat("\x00", n) + " -c 1",
		"help " + strings.Repeat("\xff", n), "revoke " + strings.Repeat("\x1b", n), "policy" + strings.Repeat(" --", n), "exec" + strings.Repeat(" --json", n),
	}
}

func TestHostileLinesGetShortAnswers(t *testing.T) {
	h := newHostileHouse(t)
	for _, line := range manyFlags() {
		for _, by := range everyRole {
			_, stdout, stderr := h.said(t, by, line)
			if len(stderr) > maxAnswer {
				t.Errorf("%s: %.60q of %d bytes is answered with %d bytes: %.200q", by.Name, line, len(line), len(stderr), stderr)
			}
			for _, text := range []string{stdout, stderr} {
				if where, bad := obeyed(text); bad {
					t.Errorf("%s: %.60q prints %q", by.Name, line, where)
				}
			}
		}
	}
}

// FuzzCommandLine parses any line as every verb: a mistake is answered in few words that no terminal obeys, nothing is printed
// elsewhere, and shell text stays what it was.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{
		"--json", "--help", "- --help", "-c 'x' -json", "--op 1,2 --reason " + hostileText, "-- ls -l", "x7 --wait=1h --", "--\x1b[2J", "-test.v", "---", "--=", "-=", "-c", "'", `\`, "--undo 1", "-hhh", "-hx", "--help=maybe",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		for _, r := range table() {
			var out, complaints bytes.Buffer
			v := r.make()
			c := &invocation{Call: &Call{Line: r.name + " " + rest, Stdout: &out, Stderr: &complaints}, verb: v, rest: " " + rest}
			if err := c.parse(); err != nil && c.usage(err) != ExitUsage {
				t.Errorf("%s %q: %v is no mistake", r.name, rest, err)
			}
			if out.Len() > 0 || complaints.Len() > maxAnswer {
				t.Errorf("%s %.100q prints %d and %d bytes", r.name, rest, out.Len(), complaints.Len())
			}
			if where, bad := obeyed(complaints.String()); bad {
				t.Errorf("%s %q prints %q", r.name, rest, where)
			}
			if v.words == commandLast && !strings.HasSuffix(rest, c.command) {
				t.Errorf("%s %q has the command %q", r.name, rest, c.command)
			}
			if v.words == wordsLast && len(c.words) > 0 && !strings.Contains(rest, " ") && len(c.words) > 1 && !strings.ContainsAny(rest, "\t\n\r") {
				t.Errorf("%s %q has the words %q", r.name, rest, c.words)
			}
		}
	})
}
