//go:build amd64 || arm64

package seccomp

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// Offsets into struct seccomp_data (linux/seccomp.h), which a filter loads 32 bits at a time, little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// A Program is a compiled filter.
type Program struct {
	Code []unix.SockFilter
	// Self are the places in Code that must hold the id of the process before it is installed, where a condition names it.
	Self []*uint32
}

// newProgram finds the places of Self.
func newProgram(code []unix.SockFilter) *Program {
	p := &Program{Code: code}
	for i := range code {
		if in := &code[i]; in.Code == unix.BPF_JMP|unix.BPF_K|unix.BPF_JEQ && in.K == Self {
			p.Self = append(p.Self, &in.K)
		}
	}
	return p
}

// For is a copy of the filter for a process with this id.
func (p *Program) For(pid uint32) []unix.SockFilter {
	own := newProgram(slices.Clone(p.Code))
	for _, at := range own.Self {
		*at = pid
	}
	return own.Code
}

// Compile makes the filter: one block for each row, and a search for the rows of a call by its number.
func (p Policy) Compile() (*Program, error) {
	blocks, asked := map[uint32][]unix.SockFilter{}, map[uint32]string{} // by number, the first row's first
	for _, r := range p.Rows {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("the row of %q: %w", r.Call, err)
		}
		number, here := Number(r.Call)
		if !here {
			continue
		}
		if key := r.Key(); key != "" {
			if before := asked[number]; before != "" && before != key {
				return nil, fmt.Errorf("the rows of %q have two handlers, %q and %q", r.Call, before, key)
			}
			asked[number] = key
		}
		block := r.compile(number)
		if len(block) > math.MaxUint8 {
			return nil, fmt.Errorf("the filter's block for %q is too long", r.Call)
		}
		blocks[number] = append(blocks[number], block...)
	}
	code := append(p.entry(), search(slices.Sorted(maps.Keys(blocks)), blocks, p.Rest)...)
	if len(code) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("the system call filter has %d instructions, the kernel takes %d", len(code), unix.BPF_MAXINSNS)
	}
	return newProgram(code), nil
}

// entry turns away what comes through another architecture's entry, and leaves the call's number in the accumulator.
func (p Policy) entry() []unix.SockFilter {
	code := []unix.SockFilter{load(offArch), jump(unix.BPF_JEQ, AuditArch, 1, 0), ret(p.Foreign), load(offNumber)}
	if X32Bit != 0 {
		code = append(code, jump(unix.BPF_JSET, X32Bit, 0, 1), ret(p.Foreign))
	}
	return code
}

// search makes the program that runs the block of a call, with its number in the accumulator. What has none, or runs past
// its block's end, is treated as rest says.
func search(sorted []uint32, blocks map[uint32][]unix.SockFilter, rest Action) (code []unix.SockFilter) {
	const few = 3 // that are looked at one after the other
	if len(sorted) <= few {
		for _, number := range sorted {
			code = append(code, blocks[number]...)
		}
		return append(code, ret(rest))
	}
	half := len(sorted) / 2
	below, above := search(sorted[:half], blocks, rest), search(sorted[half:], blocks, rest)
	// A conditional jump is 255 instructions long at most, an unconditional one as long as it takes.
	code = append(code, jump(unix.BPF_JGE, sorted[half], 0, 1),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(below))}) // #nosec G115 -- at most BPF_MAXINSNS
	return append(append(code, below...), above...)
}

// compile makes the row's block. It is entered with the system call's number in the accumulator and left with it.
func (r Row) compile(number uint32) []unix.SockFilter {
	var body []unix.SockFilter
	for i := len(r.When) - 1; i >= 0; i-- {
		// Built from the end: each test goes on to the next, or past the row's action to the block's tail.
		body = append(r.When[i].compile(len(body)+1), body...)
	}
	body = append(body, ret(r.Action()))
	if len(r.When) > 0 {
		if r.Otherwise != 0 {
			body = append(body, ret(Errno(r.Otherwise)))
		} else {
			body = append(body, load(offNumber))
		}
	}
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, number, 0, len(body))}, body...)
}

// compile makes the test of one argument. It falls through where the condition holds, and else skips miss
// instructions after its own end.
func (c Condition) compile(miss int) []unix.SockFilter {
	low := uint32(offArgs + 8*c.Arg) // #nosec G115 -- at most 56
	out := []unix.SockFilter{load(low)}
	if c.Mask != 0 {
		out = append(out, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.Mask})
	}
	var tail []unix.SockFilter // the test of the high half, for a low half that is one of the values
	found, lost := 0, miss     // where the whole test leads from the tail's end
	if c.Not {
		found, lost = miss, 0
	}
	if c.Wide {
		tail = []unix.SockFilter{load(low + 4), jump(unix.BPF_JEQ, 0, found, lost)}
		found, lost = 0, lost+len(tail)
	}
	for i, v := range c.Values {
		left := len(c.Values) - 1 - i
		if left > 0 {
			out = append(out, jump(unix.BPF_JEQ, v, left+found, 0))
		} else {
			out = append(out, jump(unix.BPF_JEQ, v, found, lost))
		}
	}
	return append(out, tail...)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func ret(a Action) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(a)}
}

// jump compares the accumulator and skips yes or no instructions, which the caller keeps below 256.
func jump(op uint16, k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: uint8(yes), Jf: uint8(no), K: k} // #nosec G115 -- below 256
}
