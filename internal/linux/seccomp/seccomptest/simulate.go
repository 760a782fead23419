//go:build linux

// Package seccomptest runs filters of system calls as the kernel would, and writes down what they do to every call. It is
// for tests.
package seccomptest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Offsets into struct seccomp_data of linux/seccomp.h, in 32-bit words.
const (
	wordNumber = 0
	wordArch   = 1
	wordArgs   = 4
	words      = 16
)

// Run gives what a filter returns for a call with these arguments, and how many instructions that took. It fails the test
// where the kernel would not have taken the filter.
func Run(tb testing.TB, program []unix.SockFilter, arch, number uint32, args ...uint64) (action uint32, steps int) {
	tb.Helper()
	data := [words]uint32{wordNumber: number, wordArch: arch}
	for i, a := range args {
		data[wordArgs+2*i], data[wordArgs+2*i+1] = uint32(a), uint32(a>>32)
	}
	var acc uint32
	for pc := 0; pc < len(program); pc++ {
		in := program[pc]
		steps++
		jump := func(holds bool) {
			if holds {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = data[in.K/4]
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JEQ:
			jump(acc == in.K)
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JGE:
			jump(acc >= in.K)
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JGT:
			jump(acc > in.K)
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JSET:
			jump(acc&in.K != 0)
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_RET | unix.BPF_K:
			return in.K, steps
		default:
			tb.Fatalf("instruction %d has an unknown code %#x", pc, in.Code)
		}
	}
	tb.Fatal("the filter runs past its end")
	return 0, steps
}
