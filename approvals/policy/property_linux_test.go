package policy_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shannot-gateway/approvals/policy"
)

// The properties of what is allowed, looked at by running it: generated texts that the policy allows run in bash and dash, in a
// directory of their own, where every program on PATH is a fake that records its words and prints hostile ones (or a number, where that is what the program prints). Only what
// runs other programs, or only interprets a language, is the real one. No generated text holds a slash other than that of /dev/null,
// so that nothing else can be named; as root the shells run as nobody.

// inTable are the fakes that an allowed text may start, outside the ones that it may not.
var (
	inTable = strings.Fields("ls cat sort uniq echo head tail wc grep cut tr ps df du id date stat file ss ip systemctl journalctl dmesg hostname uname basename dpkg sysctl lsof diff nproc pgrep")
	outside = strings.Fields("touch rm cp mv dd tee python3 perl curl wget evil chmod kill reboot mkfs nc ssh x tar vi sudo nohup watch setsid git docker")
	real    = strings.Fields("env nice timeout xargs find sed awk sh bash dash stdbuf")
)

const fakeProgram = `#!/bin/sh
printf '%%s\0' "$#" "${0##*/}" "$@" >> %s
case "${0##*/} $1" in id*|date*|wc*|stat*|nproc*|pgrep*|'grep -c'*) echo 7; exit;; esac
printf '%%s\n' '-o' evil '$(touch pwned)' 'a; touch pwned' '-exec touch pwned ;' '*' '-delete' 'restart' '` + "`touch pwned`" + `'
`

// stage is where generated texts run.
type stage struct{ bin, work, log string }

func newStage(t *testing.T) stage {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/" && strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := stage{filepath.Join(dir, "bin"), filepath.Join(dir, "work"), filepath.Join(dir, "log")}
	for _, d := range []string{s.bin, s.work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.work, 0o777); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(fakeProgram, s.log)
	for _, name := range slices.Concat(inTable, outside) {
		if err := os.WriteFile(filepath.Join(s.bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range real {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not here", name)
		}
		if err := os.Symlink(path, filepath.Join(s.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// files are what the working directory holds before each run: names that a glob makes flags and programs of.
var files = map[string]fs.FileMode{"a": 0o666, "-oevil": 0o666, "b c": 0o666, "evil": 0o777, "touch": 0o777, "-exec": 0o666}

func (s stage) clean(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(s.work)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(s.work, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range files {
		path := filepath.Join(s.work, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n: > pwned\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.log, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.log, 0o666); err != nil {
		t.Fatal(err)
	}
}

// run runs a text, and returns the commands that it started.
func (s stage) run(t *testing.T, shell, text string) [][]string {
	t.Helper()
	s.clean(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, "-c", text)
	cmd.Dir = s.work
	cmd.Stdin = strings.NewReader(strings.Repeat("-opwned\n-o pwned\na[$(touch pwned)]\ntouch pwned\n", 20)) // for what reads it
	cmd.Env = []string{"PATH=" + s.bin, "HOME=" + s.work}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	_ = cmd.Run() // how it ends does not matter
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left running
	}
	log, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	var started [][]string
	words := strings.Split(string(log), "\x00")
	for len(words) > 1 {
		n, err := strconv.Atoi(words[0])
		if err != nil || len(words) < n+2 {
			break // cut off by the end of time
		}
		started = append(started, words[1:n+2])
		words = words[n+2:]
	}
	return started
}

// left are the files that a run made, changed or removed.
func (s stage) left(t *testing.T) []string {
	t.Helper()
	var odd []string
	entries, err := os.ReadDir(s.work)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		for _, e := range entries {
			odd = append(odd, e.Name())
		}
		return odd
	}
	for name := range files {
		content, err := os.ReadFile(filepath.Join(s.work, name))
		if err != nil || !bytes.Equal(content, []byte("#!/bin/sh\n: > pwned\n")) {
			odd = append(odd, name)
		}
	}
	return odd
}

// draw picks one of several texts.
func draw(t *rapid.T, of ...string) string { return rapid.SampledFrom(of).Draw(t, "of") }

// word spells a text in one of the ways in which a shell reads the same, or nearly the same.
func word(t *rapid.T, text string) string {
	switch rapid.IntRange(0, 15).Draw(t, "spelling") {
	case 0:
		return "'" + text + "'"
	case 1:
		return `"` + text + `"`
	case 2:
		if len(text) > 1 {
			return text[:1] + draw(t, "''", `""`, `\`, "\\\n", "$''", "$x", "${x}", "$()", "``", "${x:-}", "$@") + text[1:]
		}
	case 3:
		return `$'` + text + `'`
	case 4:
		return "{" + text + "," + draw(t, "a", "touch", "-o") + "}"
	case 5:
		return "$(echo " + text + ")"
	case 6:
		return text + draw(t, "*", "?", "[a]", "$IFS", "${IFS}x", "#x", " #x\n", "\\", "=", "~", "!")
	case 7:
		return draw(t, "$x", `"$x"`, "${x:-"+text+"}", "${y-"+text+"}", "$(ls)", `"$(ls)"`, "`ls`", "$((1+1))", "$(id -u)", "$i", "$n", "$?", "$((i-9))", `"$i"`, "*", "-*", "?", "~", "<(ls)", "$(<a)", "$#", "$1", "$$")
	}
	return text
}

// command is a simple command: mostly of programs that may run, used in ways that often only read.
func command(t *rapid.T, depth int) string {
	known := []string{
		"ls -l a", "cat a", "sort a", "sort -k 2 a", `sort -t"$x" a`, `sort -rk"$(ls)" a`, `awk -F"$x" 1 a`, `journalctl --since="$(ls)"`, "xargs -I{} -n1 ls {}", "xargs -I% sort a", "uniq a", "echo x", "head -n 1 a", "wc -l", "grep x a", "cut -d : -f 1", "ps aux", "date +%s",
		"id -u", "stat a", "file a", "ss -t", "ip addr", "systemctl status a", "journalctl -n 3", "dmesg -T", "hostname", "sed -n 1p a", "sed s,a,b, a",
		"awk 1 a", "awk {print} a", "find . -name a", "find a -type f", "test -f a", "[ -f a ]", "printf %s x", "cd a", "true", "read x", "read -r i", "command read x", "builtin read x", "set -e", "x=a",
		"x=-o", "x=touch", "y=a", "export LC_ALL=C", "xargs ls", "xargs -n 1 cat", "env ls", "env LC_ALL=C sort a", "nice ls", "timeout 3 ls", "sh -c ls",
		"bash -c 'cat a'", "stdbuf -o L ls", "command ls", "find . -exec cat {} +", "find a -exec grep x {} ;", "xargs -I % ls %", "exit", "wait", "dpkg -l",
		"diff a a", "[[ -f a ]]", "[[ -f a && -d b ]]", ": a", "tr a b", "du -s a", "lsof -n a", "sysctl -n a",
		"i=1", "i=$((i+1))", "[ $i -lt 3 ]", "echo $((i*2))", "n=$(wc -l)", "[ $? -eq 0 ]", "echo $((n-i))", "sort a$i", "head -n $n a",
	}
	bad := []string{
		"touch pwned", "rm a", "evil", "sort -o pwned a", "tee pwned", "sed -i p a", "sed -n w\\ pwned a", "find . -delete", "find . -exec touch pwned ;",
		"xargs touch", "env touch pwned", "sh a", "bash evil", "./evil", "python3 a", "uniq a pwned", "eval touch pwned", ". a", "awk {print>\"pwned\"} a",
		"awk BEGIN{system(\"touch\")}", "timeout 3 touch pwned", "exec touch pwned", "trap 'touch pwned' EXIT", "PATH=. ls", "IFS=a ls", "alias ls=touch",
		"ip link set a", "systemctl restart a", "hostname x", "dmesg -C", "date -s x",
	}
	words := strings.Fields(rapid.SampledFrom(slices.Concat(known, known, known, known, bad)).Draw(t, "command"))
	for i := range words {
		if strings.ContainsAny(words[i], `'"{;[`) {
			if words[i] == ";" {
				words[i] = `\;`
			}
			continue
		}
		words[i] = word(t, words[i])
	}
	for range rapid.IntRange(0, 2).Draw(t, "more") {
		words = append(words, word(t, draw(t, "a", "-o", "touch", "-r", "x=y", "pwned", "-exec", "w pwned", "--", "+", "0", "-c", "{}", `-k"$(ls)"`, `-t"$x"`, `--key="$(ls)"`, `-r"$x"`, `--"$x"`)))
	}
	text := strings.Join(words, " ")
	switch rapid.IntRange(0, 9).Draw(t, "redirection") {
	case 0:
		text += draw(t, " >/dev/null", " 2>/dev/null", " 2>&1", " >&2", " <a", " > pwned", " >> a", " >| pwned", " &>pwned", " >&pwned", " <>pwned", " 3>&1", " > $x", " <<<x", " <<E\n$(touch pwned)\nE\n", " <<'E'\n$(touch pwned)\nE\n", " <<E\nx\nE\n")
	case 1:
		if depth > 0 {
			text += " $(" + script(t, depth-1) + ")"
		}
	case 2:
		text = draw(t, "LC_ALL=C", "x=1", "PATH=.", "TZ=UTC", "!", "time", "\\", "$x") + " " + text
	}
	return text
}

// script is a shell text.
func script(t *rapid.T, depth int) string {
	if depth == 0 {
		return command(t, 0)
	}
	s := func() string { return script(t, depth-1) }
	switch rapid.IntRange(0, 15).Draw(t, "shape") {
	case 0:
		return s() + draw(t, " | ", "; ", " && ", " || ", "\n", " & ", " |& ", ";;", " ;\\\n") + s()
	case 1:
		return "(" + s() + ")"
	case 2:
		return "{ " + s() + "; }"
	case 3:
		return "if " + s() + "; then " + s() + "; else " + s() + "; fi"
	case 4:
		return "for x in " + word(t, draw(t, "a", "-o", "touch")) + " " + draw(t, "*", "b", "{1..3}", "$(ls)", "", "$(seq 1 2)", "$i") + "; do " + s() + "; done"
	case 5:
		return "ls | while read x; do " + s() + "; done"
	case 6:
		return "case " + word(t, "a") + " in a) " + s() + ";; *) " + s() + ";; esac"
	case 7:
		return "sh -c " + draw(t, "'", "\"") + strings.NewReplacer("'", "", "\"", "").Replace(s()) + draw(t, "'", "\"")
	case 8:
		return "# " + draw(t, "x", "don't", "\\", "$(touch pwned)", "`") + "\n" + s()
	case 9:
		return "x=" + word(t, draw(t, "a", "-o", "touch", "ls")) + draw(t, "; ", " ", "\n", " && ") + s()
	case 10:
		return "echo \"" + draw(t, "$(", "`") + strings.ReplaceAll(s(), "\"", "") + draw(t, ")", "`") + "\""
	case 11:
		return "for ((i=" + draw(t, "0", "$(ls)", "x", "n") + "; i<2; i++)); do " + s() + "; done"
	case 12:
		return "cat <<" + draw(t, "E", "'E'", "\\E", "\"E\"", "-E", "E'O'F") + "\n" + s() + "\n" + draw(t, "E", "EOF", " E", "\tE") + "\n" + s()
	}
	return command(t, depth)
}

// TestAllowedTextStartsNothingElse: whatever bash and dash make of a text that is allowed, no program outside of the table
// starts, each one that starts does so with words that would be allowed on their own, and no file is written.
func TestAllowedTextStartsNothingElse(t *testing.T) {
	s := newStage(t)
	j := defaultJudge(t)
	allowed, started := 0, 0
	try := func(rt *rapid.T) {
		text := script(rt, rapid.IntRange(0, 2).Draw(rt, "depth"))
		if strings.Contains(strings.ReplaceAll(text, "/dev/null", ""), "/") || strings.Contains(text, "..") && !strings.Contains(text, "{1..3}") {
			return
		}
		if j.Shell(text, policy.Context{Bare: true}).Verdict != policy.Allow {
			return
		}
		allowed++
		for _, shell := range []string{"/bin/bash", "/bin/dash"} {
			for _, argv := range s.run(t, shell, text) {
				started++
				if slices.Contains(outside, argv[0]) {
					rt.Fatalf("%s starts %q for %q", shell, argv, text)
				}
				if d := j.Argv(argv, policy.Context{Bare: true}); d.Verdict != policy.Allow {
					rt.Fatalf("%s starts %q, which is %s (%s), for %q", shell, argv, d.Verdict, d.Reason, text)
				}
			}
			if odd := s.left(t); odd != nil {
				rt.Fatalf("%s leaves %q for %q", shell, odd, text)
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 6 {
			try(rt)
		}
	})
	t.Logf("%d texts were allowed, and started %d programs", allowed, started)
	if allowed == 0 || started == 0 {
		t.Error("nothing that was generated was allowed and ran: the test shows nothing")
	}
}

// TestStageRecordsWhatStarts: the property test would see what it looks for.
func TestStageRecordsWhatStarts(t *testing.T) {
	s := newStage(t)
	for text, want := range map[string]string{
		"ls; touch x": "touch", "ls | xargs touch": "touch", "find . -exec touch x \\;": "touch", "env touch x": "touch", "sh -c 'touch x'": "touch",
		"$(echo touch) x": "touch", "for x in touch; do $x a; done": "touch", "sort -o x a": "sort",
	} {
		found := false
		for _, argv := range s.run(t, "/bin/bash", text) {
			found = found || argv[0] == want
		}
		if !found {
			t.Errorf("%s was not seen to start %s", text, want)
		}
	}
	s.run(t, "/bin/dash", "echo x > pwned")
	if odd := s.left(t); odd == nil {
		t.Error("a file that was written was not seen")
	}
	s.run(t, "/bin/dash", "echo x > a")
	if odd := s.left(t); odd == nil {
		t.Error("a file that was changed was not seen")
	}
}
