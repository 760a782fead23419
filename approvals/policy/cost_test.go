package policy_test

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals/policy"
)

// costlyTexts are short and long texts that are more work than their length says, or once were.
func costlyTexts() map[string]string {
	rep := strings.Repeat
	doubled := "v0=xxxxxxxx;"
	for i := 1; i < 26; i++ {
		doubled += fmt.Sprintf("v%d=$v%d$v%d;", i, i-1, i-1)
	}
	texts := map[string]string{
		"values that double":     doubled + "ls $v25",
		"a value that doubles":   rep("a=$a$a;", policy.MaxShell/7),
		"doubled, not parsed":    rep(rep("a=$a$a;", 80)+"\n", 100) + ")",
		"a long value, many ran": "v=" + rep("x", 50_000) + ";" + rep(`sh -c "$v";`, 1000),
		"a long value, printed":  "v=" + rep("x", 50_000) + ";" + rep(`echo "$v";`, 1000),
		"places":                 rep("cd a$i;", 64) + "cat " + rep("b/c ", 15_000),
		"moves":                  rep("cd a;", 12_000),
		"parts and braces":       "ls {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}" + rep("$a", 30_000),
		"braces of commas":       "ls {" + rep("a,", 30_000) + "b}",
		"loops in loops":         rep("for i in a b c d e f; do ", 100) + "ls $i" + rep("; done", 100),
		"a loop":                 "for f in " + rep("/a"+rep("b", 1000)+" ", 30) + "; do " + rep("cat $f$f$f$f$f$f$f$f;", 1000) + " done",
		"functions":              rep("f() { ", 900) + "ls" + rep("; }", 900),
		"substitutions":          rep("echo $(", 149) + "ls" + rep(")", 149),
		"a path of stars":        "ls " + rep("/*", 30_000),
		"a path of stars, often": rep("ls "+rep("/*", 1000)+";", 30),
		"a long directory":       "cd /" + rep("a/", 30_000) + ";" + rep("cat x;", 600),
		"a directory, often":     "cd /" + rep("a/", 2000) + ";" + rep("cat x y z;", 5000),
		"a pattern, often":       "v='" + rep("*", 4000) + "';" + rep("cat /$v;", 4000),
		"roots of processes":     "cat " + rep(rep("/proc/1/root", 330)+" ", 15),
		"quoted parameters":      rep(`"${a:-`, 140) + rep(`}"`, 140),
	}
	for _, open := range []string{
		"(", "{ ", "$(", "`", "$((", "((", "<(", "@(", "${a:-", "${a:", "${a/", "${a[", "$[", "a[", "[[ ( ", "[[ ! ", `"$(`, "f() ",
		"if ", "while ", "until ", "time ", "! ", "coproc ", "case x in x) ", "for i in a; do ", "select i in a; do ", "if x; then ",
		"if x; then y; elif ", "a=(", "ls|", "ls&&", "ls||", "ls;", "ls&", "ls\n", "(\n", "<<a ", "cat <<a\n", "\\\n", "a=b ", "2>&1 ", "a;",
		"$((1+", "$((a?b:", "((a=", "let a,", "env ", "sudo ", "xargs ", "sh -c ", "nice ", "awk ", "find ", "[[ a && ", "a|", "*", "?*", "$a", `"a"`, "'a'",
	} {
		texts["many "+open] = rep(open, policy.MaxShell/len(open))
		texts["awk with "+open] = "awk '" + rep(open, 60_000/len(open)) + "'"
		texts["sed with "+open] = "sed '" + rep(open, 60_000/len(open)) + "'"
	}
	return texts
}

// maxAllocated bounds what one judgement allocates in sum, of which little is held at once.
const maxAllocated = 40 << 20

// cpuOfThread is the processor time of the calling thread.
func cpuOfThread(tb testing.TB) time.Duration {
	tb.Helper()
	const rusageThread = 1 // RUSAGE_THREAD, getrusage(2)
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		tb.Skip(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// checkCost judges a text and fails where that costs more than a judgement may. The processor time is no benchmark: the bound
// is forty times the budget, and what it catches is work that grows without one.
func checkCost(tb testing.TB, j *policy.Judge, text string) {
	tb.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpuOfThread(tb)
	d, steps, bytes := j.CostOfShell(text, policy.Context{})
	used := cpuOfThread(tb) - start
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > maxAllocated {
		tb.Errorf("%.60q…: %d bytes allocated", text, got)
	}
	if used > time.Second {
		tb.Errorf("%.60q…: %v of processor time for %d steps and %d bytes", text, used, steps, bytes)
	}
	if steps > policy.MaxWork && d.Verdict == policy.Allow {
		tb.Errorf("%.60q… is allowed after %d steps of at most %d", text, steps, policy.MaxWork)
	}
}

func TestJudgingHasABudget(t *testing.T) {
	j := defaultJudge(t)
	for name, text := range costlyTexts() {
		t.Run(strings.ReplaceAll(name, "/", "slash"), func(t *testing.T) { checkCost(t, j, text[:min(len(text), policy.MaxShell)]) })
	}
	for name, text := range longTexts() {
		t.Run("long "+name, func(t *testing.T) { checkCost(t, j, text) })
	}
}

func TestWhatIsTooMuchWorkAsks(t *testing.T) {
	j := defaultJudge(t)
	value := strings.Repeat("x", policy.MaxValue/2+1)
	for _, text := range []string{
		"a=" + value + "; ls $a$a",
		"v=" + strings.Repeat("x", 50_000) + ";" + strings.Repeat(`sh -c "$v";`, 100),
	} {
		if d := j.Shell(text, policy.Context{}); d.Verdict != policy.Ask {
			t.Errorf("%.40q… is %s: %s", text, d.Verdict, d.Reason)
		}
	}
}

// TestWorkDoesNotHideWhatIsRefused lets something that is refused stand before what uses up the budget.
func TestWorkDoesNotHideWhatIsRefused(t *testing.T) {
	j := defaultJudge(t)
	text := "rm -rf /; v=" + strings.Repeat("x", 50_000) + ";" + strings.Repeat(`sh -c "$v";`, 1000)
	if d := j.Shell(text, policy.Context{}); d.Verdict != policy.Deny {
		t.Errorf("it is %s: %s", d.Verdict, d.Reason)
	}
}

// FuzzCost looks for texts that are more work than the budget allows.
func FuzzCost(f *testing.F) {
	for _, text := range costlyTexts() {
		f.Add(text[:min(len(text), 200)], uint16(1))
		f.Add(text[:min(len(text), 20)], uint16(5000))
	}
	j := defaultJudge(f)
	f.Fuzz(func(t *testing.T, unit string, times uint16) {
		if len(unit) == 0 || len(unit) > policy.MaxShell {
			t.Skip()
		}
		checkCost(t, j, strings.Repeat(unit, min(int(times)+1, policy.MaxShell/len(unit))))
	})
}
