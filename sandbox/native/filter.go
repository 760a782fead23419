//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Offsets into struct seccomp_data (linux/seccomp.h), which a filter loads 32 bits at a time, little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// Returns of a filter.
const (
	retAllow  = unix.SECCOMP_RET_ALLOW
	retNotify = unix.SECCOMP_RET_USER_NOTIF
	retKill   = unix.SECCOMP_RET_KILL_PROCESS
)

func retErrno(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e)&unix.SECCOMP_RET_DATA }

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func ret(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }

// jump compares the accumulator and skips yes or no instructions.
func jump(op uint16, k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: uint8(yes), Jf: uint8(no), K: k}
}

// buildFilter compiles the engine's tables for a process with the given id.
func buildFilter(pid uint32) ([]unix.SockFilter, error) { return compileFilter(pid, table, archTable) }

// template is a filter for any process: the program, and where in it the process's id goes.
type template struct {
	program []unix.SockFilter
	own     []*uint32
}

// engineFilter and confinedFilter are the two that there are, compiled once.
var (
	engineFilter   = sync.OnceValues(func() (template, error) { return newTemplate(buildFilter(self)) })
	confinedFilter = sync.OnceValues(func() (template, error) { return newTemplate(buildConfinedFilter(self)) })
)

func newTemplate(program []unix.SockFilter, err error) (template, error) {
	t := template{program: program}
	for i := range program {
		if in := &program[i]; in.Code == unix.BPF_JMP|unix.BPF_K|unix.BPF_JEQ && in.K == self {
			t.own = append(t.own, &in.K)
		}
	}
	return t, err
}

// compileFilter compiles tables for a process with the given id: one block for each row, and a search for the rows of a
// call by its number.
func compileFilter(pid uint32, tables ...[]row) ([]unix.SockFilter, error) {
	program := []unix.SockFilter{
		load(offArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(retKill),
		load(offNumber),
	}
	if x32Bit != 0 {
		program = append(program, jump(unix.BPF_JSET, x32Bit, 0, 1), ret(retKill))
	}
	blocks := map[uint32][]unix.SockFilter{} // by number, the first row's first
	for _, rows := range tables {
		for _, r := range rows {
			block, err := r.compile(pid)
			if err != nil {
				return nil, err
			}
			if number, ok := numbers[r.call]; ok {
				blocks[number] = append(blocks[number], block...)
			}
		}
	}
	program = append(program, search(slices.Sorted(maps.Keys(blocks)), blocks)...)
	if len(program) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("the system call filter has %d instructions, the kernel takes %d", len(program), unix.BPF_MAXINSNS)
	}
	return program, nil
}

// search makes the program that runs the block of a call, with its number in the accumulator. What has none, or runs past
// its block's end, is unknown: ENOSYS.
func search(sorted []uint32, blocks map[uint32][]unix.SockFilter) (program []unix.SockFilter) {
	const few = 3 // that are looked at one after the other
	if len(sorted) <= few {
		for _, number := range sorted {
			program = append(program, blocks[number]...)
		}
		return append(program, ret(retErrno(unix.ENOSYS)))
	}
	half := len(sorted) / 2
	below, above := search(sorted[:half], blocks), search(sorted[half:], blocks)
	// A conditional jump is 255 instructions long at most, an unconditional one as long as it takes.
	program = append(program, jump(unix.BPF_JGE, sorted[half], 0, 1),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(below))}) // #nosec G115 -- at most BPF_MAXINSNS
	return append(append(program, below...), above...)
}

// action is the filter's return where the row's conditions hold.
func (r row) action() uint32 {
	switch r.do {
	case fail:
		return retErrno(r.errno)
	case notify:
		return retNotify
	default:
		return retAllow
	}
}

// compile makes the row's block. It is entered with the system call's number in the accumulator and left with it.
func (r row) compile(pid uint32) ([]unix.SockFilter, error) {
	number, ok := numbers[r.call]
	if !ok {
		if len(r.when) == 0 && r.do == fail {
			return nil, nil // this architecture lacks a call that is refused anyway
		}
		return nil, fmt.Errorf("no number for system call %q", r.call)
	}
	var body []unix.SockFilter
	for i := len(r.when) - 1; i >= 0; i-- {
		// Built from the end: each test goes on to the next, or past the row's action to the block's tail.
		body = append(r.when[i].compile(pid, len(body)+1), body...)
	}
	body = append(body, ret(r.action()))
	if len(r.when) > 0 {
		if r.otherwise != 0 {
			body = append(body, ret(retErrno(r.otherwise)))
		} else {
			body = append(body, load(offNumber))
		}
	}
	if len(body) > math.MaxUint8 {
		return nil, fmt.Errorf("the filter's block for %q is too long", r.call)
	}
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, number, 0, len(body))}, body...), nil
}

// compile makes the test of one argument. It falls through where the condition holds, and else skips miss
// instructions after its own end.
func (c condition) compile(pid uint32, miss int) []unix.SockFilter {
	low := uint32(offArgs + 8*c.arg)
	out := []unix.SockFilter{load(low)}
	if c.mask != 0 {
		out = append(out, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask})
	}
	tail := 0 // instructions after the comparisons of the low half
	if c.wide {
		tail = 2
	}
	for i, v := range c.values {
		if v == self {
			v = pid
		}
		left := len(c.values) - 1 - i
		no := 0
		if left == 0 {
			no = tail + miss
		}
		out = append(out, jump(unix.BPF_JEQ, v, left, no))
	}
	if c.wide {
		out = append(out, load(low+4), jump(unix.BPF_JEQ, 0, 0, miss))
	}
	return out
}
