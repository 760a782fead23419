//go:build amd64 || arm64

package seccomp

import (
	"runtime"
	"sort"
	"strings"
	"sync"
)

// known reports whether a system call of this name is there on any architecture, and its place in calls.
func known(name string) (int, bool) {
	return sort.Find(len(calls), func(i int) int { return strings.Compare(name, calls[i].name) })
}

// Number gives a system call's number on this architecture. It reports false where there is no such call.
func Number(name string) (uint32, bool) {
	i, ok := known(name)
	if !ok {
		return 0, false
	}
	number := numberOn(runtime.GOARCH, i)
	return uint32(number), number >= 0 // #nosec G115 -- a negative one is none
}

func numberOn(goarch string, i int) int16 {
	if goarch == "arm64" {
		return calls[i].arm64
	}
	return calls[i].amd64
}

// names are the calls of this architecture by number.
var names = sync.OnceValue(func() []string {
	var names []string
	for i := range calls {
		number := int(numberOn(runtime.GOARCH, i))
		if number < 0 {
			continue
		}
		if number >= len(names) {
			names = append(names, make([]string, number+1-len(names))...)
		}
		names[number] = calls[i].name
	}
	return names
})

// Name gives a system call's name on this architecture, "" for a number without one.
func Name(number int32) string {
	if all := names(); number >= 0 && int(number) < len(all) {
		return all[number]
	}
	return ""
}

// Calls are all system calls of an architecture, in Go's words amd64 or arm64, with their numbers.
func Calls(goarch string) map[string]uint32 {
	out := map[string]uint32{}
	for i := range calls {
		if number := numberOn(goarch, i); number >= 0 {
			out[calls[i].name] = uint32(number) // #nosec G115 -- not negative
		}
	}
	return out
}
