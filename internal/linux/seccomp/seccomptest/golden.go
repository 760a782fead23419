//go:build linux

package seccomptest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// numbers are those of all calls that there are or will be soon, on both architectures.
const numbers = 1 << 10

// Golden compares what a filter does to every call with a file in testdata, one for each architecture. Where the
// arguments decide, the line counts what it does to all combinations of those that can matter, and has a digest of these
// answers in their order. update writes the file anew. What names gives of a number stands beside it.
func Golden(t *testing.T, name string, arch uint32, program []unix.SockFilter, names func(uint32) string, update bool) {
	t.Helper()
	file := filepath.Join("testdata", "treatments_"+name+"_"+runtime.GOARCH+".txt")
	got := describe(t, arch, program, names)
	if update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file) // #nosec G304 -- of this test
	if err != nil {
		t.Fatal(err)
	}
	before, now := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for _, line := range now {
		if !slices.Contains(before, line) {
			t.Errorf("%s has no line %q", file, line)
		}
	}
	for _, line := range before {
		if !slices.Contains(now, line) {
			t.Errorf("the filter does not do what %s says: %q", file, line)
		}
	}
}

// describe has a line for every call that is not treated as a number without a meaning is.
func describe(tb testing.TB, arch uint32, program []unix.SockFilter, names func(uint32) string) string {
	rest, _ := Run(tb, program, arch, numbers, make([]uint64, 6)...)
	var out strings.Builder
	fmt.Fprintf(&out, "others: %s\n", word(rest))
	foreign, _ := Run(tb, program, unix.AUDIT_ARCH_I386, 1, make([]uint64, 6)...)
	fmt.Fprintf(&out, "another architecture: %s\n", word(foreign))
	x32, _ := Run(tb, program, arch, 1<<30, make([]uint64, 6)...)
	fmt.Fprintf(&out, "x32: %s\n", word(x32))
	for number := range uint32(numbers) {
		if text := treatment(tb, arch, program, number); text != word(rest) {
			fmt.Fprintf(&out, "%d %s: %s\n", number, names(number), text)
		}
	}
	return out.String()
}

// treatment describes what a filter does to a call.
func treatment(tb testing.TB, arch uint32, program []unix.SockFilter, number uint32) string {
	asked := inspect(program, arch, number)
	if len(asked) == 0 {
		action, _ := Run(tb, program, arch, number)
		return word(action)
	}
	digest, count := sha256.New(), map[string]int{}
	for args := range combinations(asked) {
		action, _ := Run(tb, program, arch, number, args[:]...)
		count[word(action)]++
		_, _ = fmt.Fprintln(digest, action)
	}
	var out []string
	for _, w := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%s in %d", w, count[w]))
	}
	return fmt.Sprintf("%s, %x", strings.Join(out, ", "), digest.Sum(nil)[:8])
}

// word names what a filter returns.
func word(action uint32) string {
	switch {
	case action == unix.SECCOMP_RET_ALLOW:
		return "allow"
	case action == unix.SECCOMP_RET_USER_NOTIF:
		return "notify"
	case action == unix.SECCOMP_RET_KILL_PROCESS:
		return "kill"
	case action&^unix.SECCOMP_RET_DATA == unix.SECCOMP_RET_ERRNO && action&unix.SECCOMP_RET_DATA == 0:
		return "pretend"
	case action&^unix.SECCOMP_RET_DATA == unix.SECCOMP_RET_ERRNO:
		return unix.ErrnoName(unix.Errno(action & unix.SECCOMP_RET_DATA))
	}
	return fmt.Sprintf("%#x", action)
}

// inspect walks every path of a filter for a call and gives, for each argument that one looks at, the values that can
// matter.
func inspect(program []unix.SockFilter, arch, number uint32) map[int][]uint64 {
	type place struct {
		pc, word int
		masked   bool
	}
	known := map[uint32]uint32{wordNumber: number, wordArch: arch}
	values, seen := map[int]map[uint64]bool{}, map[place]bool{}
	add := func(arg int, v ...uint64) {
		if values[arg] == nil {
			values[arg] = map[uint64]bool{}
		}
		for _, v := range v {
			values[arg][v] = true
		}
	}
	var walk func(place)
	walk = func(p place) {
		if seen[p] || p.pc >= len(program) {
			return
		}
		seen[p] = true
		in := program[p.pc]
		arg, high := (p.word-wordArgs)/2, p.word%2 == 1
		to := func(skip int) { q := p; q.pc += 1 + skip; walk(q) }
		switch in.Code & 7 { // the class
		case unix.BPF_LD:
			p.word, p.masked = int(in.K/4), false
			if n := p.word - wordArgs; n >= 0 {
				add(n/2, 0, 1<<32-1)
				if n%2 == 1 {
					add(n/2, 1<<32, 1<<63)
				}
			}
			to(0)
		case unix.BPF_ALU:
			p.masked = true
			for i := range 32 {
				add(arg, 1<<i)
			}
			to(0)
		case unix.BPF_JMP:
			if in.Code == unix.BPF_JMP|unix.BPF_JA {
				to(int(in.K))
				return
			}
			if value, is := known[uint32(p.word)]; is { // #nosec G115 -- at most words
				if holds(in, value) {
					to(int(in.Jt))
				} else {
					to(int(in.Jf))
				}
				return
			}
			switch {
			case high:
			case in.Code&0xf0 == unix.BPF_JSET:
				for i := range 32 {
					add(arg, 1<<i)
				}
			default:
				add(arg, uint64(in.K), uint64(in.K)^1)
				for i := range 32 {
					if p.masked && in.K != 0 {
						add(arg, uint64(in.K)|1<<i)
					}
				}
			}
			to(int(in.Jt))
			to(int(in.Jf))
		}
	}
	walk(place{})
	out := map[int][]uint64{}
	for arg, set := range values {
		out[arg] = slices.Sorted(maps.Keys(set))
	}
	return out
}

func holds(in unix.SockFilter, value uint32) bool {
	switch in.Code & 0xf0 { // the operation
	case unix.BPF_JEQ:
		return value == in.K
	case unix.BPF_JGE:
		return value >= in.K
	case unix.BPF_JGT:
		return value > in.K
	default:
		return value&in.K != 0
	}
}

// combinations yields every combination of these values of arguments; the others are 0.
func combinations(values map[int][]uint64) func(func(*[6]uint64) bool) {
	return func(yield func(*[6]uint64) bool) {
		var args [6]uint64
		keys := slices.Sorted(maps.Keys(values))
		var each func(int) bool
		each = func(i int) bool {
			if i == len(keys) {
				return yield(&args)
			}
			for _, v := range values[keys[i]] {
				if args[keys[i]] = v; !each(i + 1) {
					return false
				}
			}
			return true
		}
		each(0)
	}
}
