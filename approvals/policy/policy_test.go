package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"

	"shannot-gateway/approvals/policy"
)

// example is a line of a corpus.
type example struct {
	ID    string   `json:"id"`
	Argv  []string `json:"argv"`
	Shell string   `json:"shell"`
	Env   []string `json:"env"`
	Want  string   `json:"want"`
	Why   string   `json:"why"`
}

func readCorpus(t testing.TB, name string) []example {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var e example
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s:%d: %v", name, i+1, err)
		}
		if e.ID == "" {
			e.ID = fmt.Sprintf("%s:%d", name, i+1)
		}
		all = append(all, e)
	}
	return all
}

func defaultJudge(t testing.TB) *policy.Judge {
	t.Helper()
	j, err := policy.New(policy.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func judge(j *policy.Judge, e example) policy.Decision {
	ctx := policy.Context{EnvChanges: e.Env}
	if e.Argv != nil {
		return j.Argv(e.Argv, ctx)
	}
	return j.Shell(e.Shell, ctx)
}

func TestCorpus(t *testing.T) {
	j := defaultJudge(t)
	for _, name := range []string{"testdata/visible.jsonl", "testdata/own.jsonl"} {
		for _, e := range readCorpus(t, name) {
			d := judge(j, e)
			if string(d.Verdict) != e.Want && (e.Want != "not-allow" || d.Verdict == policy.Allow) {
				t.Errorf("%s: %q%q is %s (%s), want %s: %s", e.ID, e.Argv, e.Shell, d.Verdict, d.Reason, e.Want, e.Why)
			}
			if d.Reason == "" || strings.ContainsAny(d.Reason, "\n\x1b") {
				t.Errorf("%s: reason %q", e.ID, d.Reason)
			}
		}
	}
}

func TestHarmlessTextWithoutAListIsAskedOrHarmlessItself(t *testing.T) {
	j, err := policy.New(policy.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"ls", "cat /etc/passwd", "env", "find /", "awk 1 /etc/passwd", "systemctl status x", "sed p /etc/passwd"} {
		if d := j.Shell(text, policy.Context{}); d.Verdict != policy.Ask {
			t.Errorf("%s is %s with an empty list", text, d.Verdict)
		}
	}
}

func TestProfile(t *testing.T) {
	j, err := policy.New(policy.Profile{
		AutoApprove: []string{"systemctl status", "mytool", "other sub", "git log", "python3 -V", "docker ps"},
		AlwaysDeny:  []string{"mkfs", "reboot", "rm -rf /srv", "iptables -F", "curl | sh"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text string
		want policy.Verdict
	}{
		{"systemctl status nginx", policy.Allow},
		{"systemctl --no-pager status nginx", policy.Allow},
		{"systemctl show nginx", policy.Ask},
		{"systemctl restart nginx", policy.Ask},
		{"mytool --anything x", policy.Allow},
		{"mytool $X", policy.Ask},
		{"./mytool", policy.Ask},
		{"/usr/bin/mytool", policy.Allow},
		{"mytool > x", policy.Ask},
		{"other sub x", policy.Allow},
		{"other", policy.Ask},
		{"other x sub", policy.Ask},
		{"git log --oneline", policy.Allow},
		{"git log --output=x", policy.Ask},
		{"git push", policy.Ask},
		{"docker ps -a", policy.Allow},
		{"docker -H tcp://x ps", policy.Ask},
		{"docker run x", policy.Ask},
		{"python3 -V", policy.Allow},
		{"python3 x.py", policy.Ask},
		{"mkfs.xfs img", policy.Deny},
		{"sudo reboot", policy.Deny},
		{"sh -c 'r''eboot'", policy.Deny},
		{"rm -f -r /srv/", policy.Deny},
		{"rm -rf /srv/x", policy.Ask},
		{"iptables -t nat -F", policy.Deny},
		{"iptables -L", policy.Ask},
		{"curl  |  sh", policy.Deny},
	}
	for _, tt := range tests {
		if d := j.Shell(tt.text, policy.Context{}); d.Verdict != tt.want {
			t.Errorf("%s is %s (%s), want %s", tt.text, d.Verdict, d.Reason, tt.want)
		}
	}
}

func TestDenialThatCanNeverMatchIsAnError(t *testing.T) {
	for entry, want := range map[string]string{
		"/sbin/reboot": "reboot", "-rf /": "program's name", "A=b reboot": "program's name", "rm 'x'": "quotes", `rm \x`: "quotes",
		"reboot": "", "rm -rf /srv": "", "curl | sh": "", ":(){ :|:& };:": "", "sudo reboot": "", "rm -rf *": "",
	} {
		_, err := policy.New(policy.Profile{AlwaysDeny: []string{entry}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", entry, err, want)
		}
	}
}

func TestProgramsThatAListedJailBreaksAreNamed(t *testing.T) {
	j, err := policy.New(policy.Profile{AutoApprove: []string{"make", "npm run build", "df", "mytool"}})
	if err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(j.Writers(), " "); w != "make npm" {
		t.Errorf("the writers are %q", w)
	}
	if d := j.Argv([]string{"make"}, policy.Context{}); !strings.Contains(d.Reason, "held read-only") {
		t.Errorf("the reason is %q", d.Reason)
	}
	if d := j.Argv([]string{"make"}, policy.Context{Bare: true}); strings.Contains(d.Reason, "held") {
		t.Errorf("the reason without a wall is %q", d.Reason)
	}
}

func TestPacks(t *testing.T) {
	if _, err := policy.New(policy.Profile{Packs: []string{"dockr"}}); err == nil || !strings.Contains(err.Error(), "docker") {
		t.Errorf("an unknown pack: %v", err)
	}
	p := policy.DefaultProfile()
	without, err := policy.New(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Packs = []string{"docker", "git", "kubectl", "postgres", "aws", "redis"}
	with, err := policy.New(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"docker ps -a", "git log --oneline -5", "git -C /srv/app status", "kubectl get pods -A", "psql -c '\\l'", "aws ec2 describe-instances", "redis-cli info"} {
		if d := without.Shell(text, policy.Context{}); d.Verdict != policy.Ask {
			t.Errorf("%s is %s without a pack", text, d.Verdict)
		}
		if d := with.Shell(text, policy.Context{}); d.Verdict != policy.Allow {
			t.Errorf("%s is %s (%s) with its pack", text, d.Verdict, d.Reason)
		}
	}
	for _, text := range []string{
		"docker inspect web", "docker exec web env", "docker run alpine", "kubectl get secret db -o yaml", "kubectl get secrets", "kubectl get pod web -o yaml",
		"git push", "git -c core.pager=x log", "psql -c 'drop table x'", "aws secretsmanager list-secrets", "redis-cli get key", "docker compose config",
	} {
		if d := with.Shell(text, policy.Context{}); d.Verdict != policy.Ask {
			t.Errorf("%s is %s with the packs", text, d.Verdict)
		}
	}
}

// TestAttacksAreNeverAllowed: these texts did harm, or showed what is hidden, in real shells.
func TestAttacksAreNeverAllowed(t *testing.T) {
	j := defaultJudge(t)
	for _, e := range readCorpus(t, "testdata/attacks.jsonl") {
		for _, bare := range []bool{false, true} {
			ctx := policy.Context{Bare: bare}
			d := j.Shell(e.Shell, ctx)
			if e.Argv != nil {
				d = j.Argv(e.Argv, ctx)
			}
			if d.Verdict == policy.Allow {
				t.Errorf("%s: %q%q is allowed: %s", e.ID, e.Argv, e.Shell, e.Why)
			}
		}
	}
}

// TestEverydayDiagnosisRunsUnasked: of a hundred commands, no more than five ask.
func TestEverydayDiagnosisRunsUnasked(t *testing.T) {
	j := defaultJudge(t)
	all := readCorpus(t, "testdata/diagnostics.jsonl")
	var asked []string
	for _, e := range all {
		if d := judge(j, e); d.Verdict != policy.Allow {
			asked = append(asked, fmt.Sprintf("%s%q: %s", e.Shell, e.Argv, d.Reason))
		}
	}
	if len(asked)*100 > len(all)*5 {
		t.Errorf("%d of %d ask:\n%s", len(asked), len(all), strings.Join(asked, "\n"))
	}
}

func TestEntryThatIsShellTextOrEmptyIsAnError(t *testing.T) {
	for _, p := range []policy.Profile{{AutoApprove: []string{""}}, {AutoApprove: []string{"ls; rm"}}, {AutoApprove: []string{"ls *"}}, {AlwaysDeny: []string{" "}}} {
		if _, err := policy.New(p); err == nil {
			t.Errorf("%v was taken", p)
		}
	}
}

func TestChangedEnvironmentAsks(t *testing.T) {
	j := defaultJudge(t)
	tests := []struct {
		change string
		want   policy.Verdict
	}{
		{"LC_ALL=C", policy.Allow}, {"TZ=Europe/Berlin", policy.Allow}, {"COLUMNS=80", policy.Allow}, {"TERM=dumb", policy.Allow},
		{"-LANG", policy.Allow}, {"PATH=/tmp", policy.Ask}, {"-HOME", policy.Allow}, {"-USER", policy.Allow}, {"HOME=/x", policy.Ask}, {"LC_ALL=zh_CN.GBK", policy.Ask},
		{"LANG=ja_JP.SJIS", policy.Ask}, {"LANG=zh_TW", policy.Ask}, {"LANG=de_DE.UTF-8", policy.Allow}, {"LC_CTYPE=en_US", policy.Allow}, {"LD_PRELOAD=x", policy.Ask}, {"BASH_ENV=x", policy.Ask}, {"ENV=x", policy.Ask},
		{"IFS=x", policy.Ask}, {"GIT_PAGER=x", policy.Ask}, {"PAGER=x", policy.Ask}, {"PYTHONPATH=x", policy.Ask}, {"LC_ALL=/tmp/x", policy.Ask},
		{"BASH_FUNC_ls%%=() { rm x; }", policy.Ask}, {"TZ=:/etc/shadow", policy.Ask}, {"-PATH", policy.Ask}, {"", policy.Ask}, {"LANG=../x", policy.Ask},
	}
	for _, tt := range tests {
		if d := j.Argv([]string{"ls"}, policy.Context{EnvChanges: []string{tt.change}}); d.Verdict != tt.want {
			t.Errorf("%s is %s (%s), want %s", tt.change, d.Verdict, d.Reason, tt.want)
		}
	}
}

func TestLongOrDeepTextAsks(t *testing.T) {
	j := defaultJudge(t)
	for _, text := range []string{
		"ls " + strings.Repeat("a", policy.MaxShell), strings.Repeat("(", 5000) + "ls" + strings.Repeat(")", 5000),
		strings.Repeat("sh -c ", 40) + "ls", "ls \x00", "ls \xff", "ls \r", "", "'", "ls {1..100000}", "ls " + strings.Repeat("{a,b}", 30),
	} {
		if d := j.Shell(text, policy.Context{}); d.Verdict == policy.Deny || d.Verdict == policy.Allow && text != "" {
			t.Errorf("%.40q is %s", text, d.Verdict)
		}
	}
	if d := j.Argv(nil, policy.Context{}); d.Verdict != policy.Ask {
		t.Error("no words were not asked")
	}
	if d := j.Argv([]string{"ls", "a\x00b"}, policy.Context{}); d.Verdict != policy.Ask {
		t.Error("NUL was not asked")
	}
}

// TestNestedTextIsJudgedAtOnce would not end if a level of nesting doubled the work.
func TestNestedTextIsJudgedAtOnce(t *testing.T) {
	j := defaultJudge(t)
	for _, nest := range [][2]string{
		{"${a:-$(echo ", ")}"}, {"$(echo ", ")"}, {"${a:-", "}"}, {"$((", "))"}, {"((", "))"}, {"( (", "))"}, {"{ ", "; }"},
		{"${a[$(echo ", ")]}"}, {"${a:$(echo ", "):1}"}, {"<(cat ", ")"}, {"[[ -n $(echo ", ") ]]"}, {"if ", "; then ls; fi"},
		{"f() { a | ", "; }"}, {"\"$(echo ", ")\""}, {"`", "`"}, {"{a,", "}"}, {"${a/$(echo ", ")/b}"}, {"for f in $(echo ", "); do ls; done"},
	} {
		for _, n := range []int{30, 120, 900} {
			text := "echo " + strings.Repeat(nest[0], n) + "x" + strings.Repeat(nest[1], n)
			j.Shell(text, policy.Context{})
			j.Shell(text[len("echo "):], policy.Context{})
		}
	}
	j.Shell("f() { "+strings.Repeat("a|", policy.MaxShell/8)+"a; }", policy.Context{})
	j.Shell(strings.Repeat("a|", policy.MaxShell/4)+"a", policy.Context{})
	j.Shell(strings.Repeat("sh -c ", policy.MaxShell/8)+"a", policy.Context{})
	j.Shell(strings.Repeat("find -exec ", policy.MaxShell/16)+"a", policy.Context{})
}

func TestServeAnswersBadLinesAndGoesOn(t *testing.T) {
	in := strings.Join([]string{
		`{`, `{"id":1}`, `{"id":2,"argv":["ls"],"shell":"ls"}`, `{"id":3,"argv":7}`, "\xff",
		`{"id":4,"shell":"` + strings.Repeat("a", policy.MaxLine) + `"}`, ``, `{"id":"5","shell":"ls; rm -rf /"}`, `{"id":"6","argv":["df","-h"]}`,
	}, "\n")
	var out bytes.Buffer
	if err := policy.Serve(strings.NewReader(in), &out, defaultJudge(t)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{"ask", "ask", "ask", "ask", "ask", "ask", "deny", "allow"}
	if len(lines) != len(want) {
		t.Fatalf("%d answers: %s", len(lines), out.String())
	}
	for i, line := range lines {
		if !strings.Contains(line, `"verdict":"`+want[i]+`"`) {
			t.Errorf("answer %d is %s", i, line)
		}
	}
}

// FuzzShell: nothing panics; what is allowed stays allowed when it is printed by another printer, so that the verdict
// depends on the meaning and not on the spelling; and nothing that is allowed becomes so by a removal appended to it.
func FuzzShell(f *testing.F) {
	for _, name := range []string{"testdata/visible.jsonl", "testdata/own.jsonl"} {
		for _, e := range readCorpus(f, name) {
			if e.Shell != "" {
				f.Add(e.Shell)
			}
		}
	}
	j := defaultJudge(f)
	f.Fuzz(func(t *testing.T, text string) {
		d := j.Shell(text, policy.Context{})
		if d.Verdict != policy.Allow {
			return
		}
		file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
		if err != nil {
			t.Fatalf("%q is allowed and does not parse", text)
		}
		var b strings.Builder
		if err := syntax.NewPrinter().Print(&b, file); err != nil {
			return
		}
		if again := j.Shell(b.String(), policy.Context{}); again.Verdict == policy.Deny {
			t.Errorf("%q is allowed, %q is %s: %s", text, b.String(), again.Verdict, again.Reason)
		}
		if more := j.Shell(b.String()+"\ntouch /srv/x", policy.Context{}); more.Verdict == policy.Allow {
			t.Errorf("%q with another command is allowed", text)
		}
	})
}

func FuzzArgv(f *testing.F) {
	f.Add("sed", "s/a/b/", "x")
	f.Add("awk", "{print $1/2}", "x")
	f.Add("find", "/", "-delete")
	f.Add("env", "-S", "ls")
	j := defaultJudge(f)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		d := j.Argv([]string{a, b, c}, policy.Context{})
		if d.Reason == "" {
			t.Error("no reason")
		}
		if sudo := j.Argv([]string{"sudo", a, b, c}, policy.Context{}); sudo.Verdict == policy.Allow {
			t.Errorf("sudo %q %q %q is allowed", a, b, c)
		}
	})
}

func BenchmarkOrdinaryCommand(b *testing.B) {
	j := defaultJudge(b)
	for b.Loop() {
		j.Shell("ps aux | grep nginx | wc -l", policy.Context{})
	}
}

func Benchmark64KiB(b *testing.B) {
	j := defaultJudge(b)
	line := "df -h | grep '^/dev' | sort -k5 2>/dev/null; "
	text := strings.Repeat(line, policy.MaxShell/len(line))
	for b.Loop() {
		j.Shell(text, policy.Context{})
	}
}
