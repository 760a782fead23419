//go:build linux && (amd64 || arm64)

package native

import (
	_ "embed"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
)

// calls_compat.txt are entries that the kernel's symbols name beside the calls of 64-bit processes, and that none of these
// reaches: those of other architectures, of 32-bit programs, and older names.
//
//go:embed testdata/calls_compat.txt
var compatCalls string

// opinions are the calls that a row or the list of unknown ones names. The table is written in names, so that it can be
// held against every architecture here.
func opinions(tb testing.TB) map[string]bool {
	tb.Helper()
	has := map[string]bool{}
	for _, r := range table {
		has[r.Call] = true
	}
	for _, u := range unknown {
		if u.why == "" {
			tb.Errorf("no reason for %s", u.calls)
		}
		for call := range strings.FieldsSeq(u.calls) {
			if has[call] {
				tb.Errorf("%s is unknown and has a row, or is unknown twice", call)
			}
			has[call] = true
		}
	}
	return has
}

func TestEveryCallOfTheKernelHasAnOpinion(t *testing.T) {
	has := opinions(t)
	named := map[string]bool{}
	for _, arch := range []string{"amd64", "arm64"} {
		for name := range seccomp.Calls(arch) {
			named[name] = true
			if !has[name] {
				t.Errorf("%s: nobody has an opinion on %s", arch, name)
			}
		}
	}
	for name := range has {
		if !named[name] {
			t.Errorf("there is an opinion on %s, which is no system call", name)
		}
	}
}

// The running kernel may be newer than golang.org/x/sys: its own symbols name what it has.
func TestEveryCallOfTheRunningKernelHasAnOpinion(t *testing.T) {
	symbols, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Skip(err)
	}
	prefix := map[string]string{"amd64": "__x64_sys_", "arm64": "__arm64_sys_"}[runtime.GOARCH]
	has := opinions(t)
	for name := range strings.FieldsSeq(compatCalls) {
		has[name] = true
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(` [Tt] `+prefix+`(\w+)`).FindAllStringSubmatch(string(symbols), -1) {
		seen[m[1]] = true
	}
	if len(seen) < 300 {
		t.Skipf("this kernel names %d of its calls", len(seen))
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !has[name] {
			t.Errorf("the running kernel has %s, and nobody has an opinion on it", name)
		}
	}
}

// TestEveryRefusedCallIsRefusedByTheKernel makes, by number and with arguments of zero, each call that the table refuses or
// does not know whatever its arguments are, and each number that has no name.
func TestEveryRefusedCallIsRefusedByTheKernel(t *testing.T) {
	want := map[string]string{}
	for number := range 520 {
		want["#"+strconv.Itoa(number)] = "ENOSYS"
	}
	known := seccomp.Calls(runtime.GOARCH)
	for name, number := range known {
		delete(want, "#"+strconv.Itoa(int(number)))
		if !slices.ContainsFunc(table, func(r row) bool { return r.Call == name }) {
			want[name] = "ENOSYS"
		}
	}
	for _, r := range table {
		if _, here := known[r.Call]; r.Do == fail && len(r.When) == 0 && here {
			want[r.Call] = "OK"
			if r.Errno != 0 {
				want[r.Call] = unix.ErrnoName(r.Errno)
			}
		}
	}
	for _, name := range []string{"uprobe", "uretprobe"} { // past the filter, see unknown
		delete(want, name)
	}
	w := newWorld(t, 0)
	job, stdout, stderr := w.job(t, w.setup(t, scratch)+strings.ReplaceAll(`
for name in "NAMES".split():
    print(name, call(int(name[1:]) if name[0] == "#" else name, 0, 0, 0, 0, 0, 0))`, "NAMES", strings.Join(slices.Sorted(maps.Keys(want)), " ")))
	if r := runJob(t, job); r.Cause != sandbox.Exited || r.ExitCode != 0 {
		t.Fatalf("%+v: %s", r, stderr)
	}
	got := map[string]string{}
	for line := range strings.Lines(stdout.String()) {
		name, errno, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[name] = errno
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Run(name, func(t *testing.T) {
			if got[name] != want[name] {
				t.Errorf("gives %q, want %q", got[name], want[name])
			}
		})
	}
}
