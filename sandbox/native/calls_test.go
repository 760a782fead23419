//go:build linux && (amd64 || arm64)

package native

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// calls_ARCH.txt are the names and numbers of the kernel's table, from golang.org/x/sys/unix; calls_compat.txt are
// entries that the kernel's symbols name beside these, which no 64-bit process reaches: those of other architectures,
// of 32-bit programs, and older names.
//
//go:embed testdata/calls_*.txt
var callFiles embed.FS

// knownCalls are the system calls of an architecture by name.
func knownCalls(tb testing.TB, arch string) map[string]int {
	tb.Helper()
	text, err := callFiles.ReadFile("testdata/calls_" + arch + ".txt")
	if err != nil {
		tb.Fatal(err)
	}
	calls := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if calls[name], err = strconv.Atoi(number); err != nil {
			tb.Fatal(fmt.Errorf("%s: %w", arch, err))
		}
	}
	return calls
}

// opinions are the calls that a row or the list of unknown ones names. The tables are written in names, so that they can
// be held against every architecture here.
func opinions(tb testing.TB) map[string]bool {
	tb.Helper()
	has := map[string]bool{}
	for _, rows := range [][]row{table, archTable} {
		for _, r := range rows {
			has[r.call] = true
		}
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
		for name := range knownCalls(t, arch) {
			named[name] = true
			if !has[name] && (arch == runtime.GOARCH || !onlyElsewhere(arch, name)) {
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

// onlyElsewhere reports whether only the other architecture than this one has a call: its opinion is in the other's table.
func onlyElsewhere(arch, name string) bool {
	return arch == "amd64" && archTable == nil && slices.Contains([]string{
		"stat", "lstat", "open", "poll", "select", "epoll_create", "epoll_wait", "eventfd", "dup2", "pipe", "alarm", "pause", "time",
		"getpgrp", "arch_prctl", "creat", "access", "readlink", "mkdir", "rmdir", "unlink", "rename", "link", "symlink", "chmod",
		"chown", "lchown", "fork", "vfork", "mknod", "iopl", "ioperm", "modify_ldt",
	}, name)
}

// The running kernel may be newer than golang.org/x/sys: its own symbols name what it has.
func TestEveryCallOfTheRunningKernelHasAnOpinion(t *testing.T) {
	symbols, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Skip(err)
	}
	prefix := map[string]string{"amd64": "__x64_sys_", "arm64": "__arm64_sys_"}[runtime.GOARCH]
	has := opinions(t)
	compat, err := callFiles.ReadFile("testdata/calls_compat.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(compat)) {
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
		// A 64-bit ARM kernel has calls for 32-bit programs only, whose architecture the filter does not let in.
		if !has[name] && !onlyElsewhere("amd64", name) {
			t.Errorf("the running kernel has %s, and nobody has an opinion on it", name)
		}
	}
}

// TestListsOfCallsAreThoseOfTheUnixPackage fails after an update of golang.org/x/sys that brings new calls.
func TestListsOfCallsAreThoseOfTheUnixPackage(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skipf("no go command, or no modules, here: %v", err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "unix", "zsysnum_linux_"+arch+".go"))
		if err != nil {
			t.Skip(err)
		}
		known := knownCalls(t, arch)
		for _, m := range regexp.MustCompile(`SYS_([A-Z0-9_]+) += ([0-9]+)`).FindAllStringSubmatch(string(text), -1) {
			name := strings.ToLower(m[1])
			if name == "arch_specific_syscall" { // a place and no call
				continue
			}
			if strconv.Itoa(known[name]) != m[2] {
				t.Errorf("testdata/calls_%s.txt lacks %q", arch, name+" "+m[2])
			}
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
	known := knownCalls(t, runtime.GOARCH)
	for name, number := range known {
		delete(want, "#"+strconv.Itoa(number))
		if !slices.ContainsFunc(slices.Concat(table, archTable), func(r row) bool { return r.call == name }) {
			want[name] = "ENOSYS"
		}
	}
	for _, r := range slices.Concat(table, archTable) {
		if _, here := known[r.call]; r.do == fail && len(r.when) == 0 && here {
			want[r.call] = "OK"
			if r.errno != 0 {
				want[r.call] = unix.ErrnoName(r.errno)
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
