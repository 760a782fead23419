//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/vfs"
)

// unittests runs CPython's own tests inside an interpreter.
//
//go:embed testdata/compat/unittests.py
var unittests string

// stdlibList says what is expected of them.
//
//go:embed testdata/compat/stdlib.txt
var stdlibList string

// testTrees are where distributions put the test package of a Python that is near enough (libpython3.11-testsuite).
var testTrees = []string{"/usr/lib/python3.14/test", "/usr/lib/python3.13/test", "/usr/lib/python3.12/test", "/usr/lib/python3.11/test"}

// leftOut is the reason of tests that are not run.
const leftOut = "slow"

// A libraryReason is why tests do not pass in the sandbox.
type libraryReason struct{ key, text string }

// A libraryModule is what is expected of one module's tests: patterns of Class.method by reason.
type libraryModule struct {
	name     string
	expected map[string][]string
}

// reasonFor returns the reason that a test is listed under, or "".
func (m *libraryModule) reasonFor(test string) (reason, pattern string) {
	for key, patterns := range m.expected {
		for _, p := range patterns {
			if ok, _ := path.Match(p, test); ok && key != leftOut {
				return key, p
			}
		}
	}
	return "", ""
}

func parseLibraryList(tb testing.TB, text string) (reasons []libraryReason, modules []*libraryModule) {
	tb.Helper()
	known := map[string]bool{leftOut: true}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || line[0] == '#':
		case words[0] == "reason" && len(words) > 2:
			known[words[1]] = true
			reasons = append(reasons, libraryReason{words[1], strings.Join(words[2:], " ")})
		case words[0] == "module" && len(words) == 2:
			modules = append(modules, &libraryModule{words[1], map[string][]string{}})
		case line[0] == '\t' && len(modules) > 0 && len(words) > 1 && known[words[0]]:
			last := modules[len(modules)-1]
			last.expected[words[0]] = append(last.expected[words[0]], words[1:]...)
		default:
			tb.Fatalf("stdlib.txt: cannot read %q", line)
		}
	}
	return reasons, modules
}

// A libraryResult is what became of one test: ok, failed, skipped, or unfinished where the interpreter ended in it.
type libraryResult struct{ outcome, why string }

// parseLibraryResults reads what unittests.py tells, and whether it came to the end.
func parseLibraryResults(tb testing.TB, text []byte) (results map[string]libraryResult, ended bool) {
	tb.Helper()
	results = map[string]libraryResult{}
	for line := range bytes.Lines(text) {
		var told [3]string
		if err := json.Unmarshal(line, &told); err != nil {
			tb.Fatalf("unittests.py told %q: %v", line, err)
		}
		if told[1] == "end" {
			ended = true
			continue
		}
		results[told[0]] = libraryResult{told[1], told[2]}
	}
	return results, ended
}

// libraryTimeout bounds one module in one interpreter.
const libraryTimeout = patience

// TestStandardLibrarysOwnTests runs tests of CPython in the sandbox and in the same interpreter without one. A test that
// passes only without must be listed, and what is listed must be so.
func TestStandardLibrarysOwnTests(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	if os.Getenv(unprivilegedEnv) != "" {
		t.Skip("the first run had them; the interpreter has no privileges in either")
	}
	_, modules := parseLibraryList(t, stdlibList)
	tree := treeWithTests(testTrees, modules)
	if tree == "" {
		t.Skip("CPython's own tests are not on this machine (Debian 12: apt-get install libpython3.11-testsuite)")
	}
	engine(t)
	for _, m := range modules {
		t.Run(m.name, func(t *testing.T) {
			if !m.in(tree) {
				t.Skipf("%s has no %s", tree, m.name)
			}
			t.Parallel()
			args := []string{"-", tree, strings.Join(m.expected[leftOut], ","), "test." + m.name}
			told := make(chan []byte, 1)
			go func() { told <- bareLibrary(t, args) }()
			boxed, end := parseLibraryResults(t, sandboxedLibrary(t, args))
			bare, ended := parseLibraryResults(t, <-told)
			if !ended {
				t.Fatalf("without a sandbox the tests do not come to an end: %v", unfinished(bare))
			}
			if !end || m.surprises(bare, boxed) {
				// Some of these tests are about time, and others are working here: what passes at the second try does pass.
				for name, is := range m.again(t, args) {
					if is.outcome == "ok" || boxed[name].outcome == "" {
						boxed[name] = is
					}
				}
			}
			m.compare(t, bare, boxed)
		})
	}
}

// treeWithTests returns the first of the directories that has modules of tests, "" for none. Debian's ordinary library has
// test/support and some files beside it, for other packages' tests, and no module of tests.
func treeWithTests(dirs []string, modules []*libraryModule) string {
	for _, dir := range dirs {
		if slices.ContainsFunc(modules, func(m *libraryModule) bool { return m.in(dir) }) {
			return dir
		}
	}
	return ""
}

// in reports whether a test package has the module.
func (m *libraryModule) in(dir string) bool {
	name := filepath.Join(dir, m.name)
	for _, file := range []string{name + ".py", filepath.Join(name, "__init__.py")} {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// TestOrdinaryLibraryIsNoTestPackage lays out what Debian's libpython3.11-stdlib has below test, and what the package of the
// tests adds.
func TestOrdinaryLibraryIsNoTestPackage(t *testing.T) {
	stdlib, testsuite := t.TempDir(), t.TempDir()
	for _, name := range []string{
		stdlib + "/__init__.py", stdlib + "/libregrtest/__init__.py", stdlib + "/support/__init__.py", stdlib + "/support/os_helper.py",
		testsuite + "/support/__init__.py", testsuite + "/test_json/__init__.py", testsuite + "/test_os.py",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	modules := []*libraryModule{{name: "test_json"}, {name: "test_os"}, {name: "test_glob"}}
	if got := treeWithTests([]string{stdlib}, modules); got != "" {
		t.Errorf("%s passes for a test package", got)
	}
	if got := treeWithTests([]string{"/nonexistent", stdlib, testsuite}, modules); got != testsuite {
		t.Errorf("the test package is %q, want %q", got, testsuite)
	}
	for _, m := range modules {
		if got, want := m.in(testsuite), m.name != "test_glob"; got != want {
			t.Errorf("%s is in the test package: %v, want %v", m.name, got, want)
		}
	}
}

// surprises reports whether a test that is not listed passes without the sandbox only.
func (m *libraryModule) surprises(bare, boxed map[string]libraryResult) bool {
	for name, was := range bare {
		if reason, _ := m.reasonFor(name); was.outcome == "ok" && boxed[name].outcome != "ok" && reason == "" {
			return true
		}
	}
	return false
}

// again runs the module's tests in the sandbox once more.
func (m *libraryModule) again(t *testing.T, args []string) map[string]libraryResult {
	t.Helper()
	t.Log("a second try")
	boxed, ended := parseLibraryResults(t, sandboxedLibrary(t, args))
	if !ended {
		t.Errorf("in the sandbox the tests do not come to an end: %v", unfinished(boxed))
	}
	return boxed
}

func unfinished(results map[string]libraryResult) (names []string) {
	for name, r := range results {
		if r.outcome == "unfinished" {
			names = append(names, name)
		}
	}
	return names
}

func (m *libraryModule) compare(t *testing.T, bare, boxed map[string]libraryResult) {
	passed, stale := 0, map[string]bool{}
	differs := map[string]bool{}
	for name, was := range bare {
		if was.outcome != "ok" {
			continue
		}
		is, told := boxed[name]
		if !told {
			is = libraryResult{"not run", "its class or module was skipped"}
		}
		reason, pattern := m.reasonFor(name)
		switch {
		case is.outcome == "ok" && reason != "":
			stale[pattern] = true
		case is.outcome == "ok":
			passed++
		case reason != "":
			differs[pattern] = true
		default:
			t.Errorf("%s passes without the sandbox, and in it: %s: %s", name, is.outcome, is.why)
		}
	}
	for pattern := range stale {
		if !differs[pattern] {
			t.Errorf("%s is listed, and passes in the sandbox", pattern)
		}
	}
	if passed == 0 && len(differs) == 0 {
		t.Error("no test passes in both")
	}
	t.Logf("%d tests pass in both", passed)
}

// bareLibrary runs the tests without a sandbox. It may be called on any goroutine.
func bareLibrary(t *testing.T, args []string) []byte {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), libraryTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(engine(t).installed().root, pythonBinary), append([]string{"-s"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, strings.NewReader(unittests), time.Second
	cmd.Env = []string{
		"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/", "LANG=C.UTF-8", "TMPDIR=" + dir, "PYTHONPATH=" + withoutGuest(t),
		"PYTHONDONTWRITEBYTECODE=1",
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Logf("without a sandbox: %v: %s", err, tail(stderr.String()))
	}
	return stdout.Bytes()
}

// sandboxedLibrary runs the tests in the sandbox, over this host's files.
func sandboxedLibrary(t *testing.T, args []string) []byte {
	t.Helper()
	job, stdout, stderr := jobFor(t, unittests)
	policy, err := vfs.NewPolicy(narrowRead(), vfs.DefaultHide())
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid()) // as the interpreter that it is compared with
	job.FS, err = vfs.NewSession(vfs.Config{
		Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/tmp", "/var/tmp"}, MaxBytes: 512 << 20, MaxFile: 256 << 20,
		UID: uid, GID: gid, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = job.FS.Close() })
	job.Host.UID, job.Host.GID = uid, gid
	job.Args, job.Dir = args, "/tmp"
	job.Limits.Wall, job.Limits.CPU, job.Limits.Memory, job.Limits.Write = libraryTimeout, libraryTimeout, 2<<30, 256<<20
	job.Limits.Threads = 256
	if result := runJob(t, job); result.ExitCode != 0 {
		t.Logf("in the sandbox: %+v: %s", result, tail(stderr.String()))
	}
	return stdout.Bytes()
}

// tail is the end of an interpreter's errors.
func tail(text string) string { return text[max(0, len(text)-500):] }

// The page's generated part stands between these lines.
const (
	generatedBegin = "<!-- generated from sandbox/native/testdata/compat/stdlib.txt by go test ./sandbox/native -run TestCompatibilityPage -update -->\n"
	generatedEnd   = "<!-- end of the generated part -->\n"
)

// libraryPage is what docs/compatibility.md says of the standard library's own tests.
func libraryPage(reasons []libraryReason, modules []*libraryModule) string {
	var b strings.Builder
	var whole []string
	for _, m := range modules {
		if len(m.expected) == 0 || len(m.expected) == 1 && m.expected[leftOut] != nil {
			whole = append(whole, "`"+m.name+"`")
		}
	}
	fmt.Fprintf(&b, "In the sandbox as without it, every test that passes: %s.\n\n", strings.Join(whole, ", "))
	b.WriteString("All but those that meet one of the reasons below:\n\n| module | reasons |\n| --- | --- |\n")
	used := map[string]bool{}
	for _, m := range modules {
		var keys []string
		for key := range m.expected {
			if key != leftOut {
				keys = append(keys, key)
				used[key] = true
			}
		}
		slices.Sort(keys)
		if len(keys) > 0 {
			fmt.Fprintf(&b, "| `%s` | %s |\n", m.name, strings.Join(keys, ", "))
		}
	}
	b.WriteString("\n| reason | what it is |\n| --- | --- |\n")
	for _, r := range reasons {
		if used[r.key] {
			fmt.Fprintf(&b, "| %s | %s |\n", r.key, r.text)
		}
	}
	return b.String()
}

// TestCompatibilityPageSaysWhatIsTested compares docs/compatibility.md with the list that the tests are held to.
func TestCompatibilityPageSaysWhatIsTested(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "compatibility.md")
	page, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		t.Skip("the sources are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), generatedBegin)
	_, after, ends := strings.Cut(rest, generatedEnd)
	if !begins || !ends {
		t.Fatal("the page has no place for the generated part")
	}
	want := before + generatedBegin + "\n" + libraryPage(parseLibraryList(t, stdlibList)) + "\n" + generatedEnd + after
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Error("docs/compatibility.md is not what the list says: run go test ./sandbox/native -run TestCompatibilityPage -update")
	}
}

// TestListOfLibraryTestsIsReadAsWritten keeps the list's notation.
func TestListOfLibraryTestsIsReadAsWritten(t *testing.T) {
	reasons, modules := parseLibraryList(t, stdlibList)
	used := map[string]bool{}
	for _, m := range modules {
		for key, patterns := range m.expected {
			used[key] = true
			for _, p := range patterns {
				if _, err := path.Match(p, ""); err != nil || !strings.Contains(p, ".") {
					t.Errorf("%s: %q is no pattern of Class.method", m.name, p)
				}
			}
		}
	}
	for _, r := range reasons {
		if !used[r.key] {
			t.Errorf("nothing is listed under %s", r.key)
		}
		if !strings.HasPrefix(r.key, "refused-") && !strings.HasPrefix(r.key, "broken-") {
			t.Errorf("%s says neither that it is refused nor that it is broken", r.key)
		}
	}
}
