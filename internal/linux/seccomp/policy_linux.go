//go:build amd64 || arm64

package seccomp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// An Action is what a filter returns for a call, see seccomp(2).
type Action uint32

// The actions that there are, beside those of Errno.
const (
	ActionAllow  Action = unix.SECCOMP_RET_ALLOW
	ActionNotify Action = unix.SECCOMP_RET_USER_NOTIF
	ActionKill   Action = unix.SECCOMP_RET_KILL_PROCESS // the whole process, with SIGSYS
)

// Errno is the action that answers with an error, or that pretends success where it is 0.
func Errno(e unix.Errno) Action {
	return unix.SECCOMP_RET_ERRNO | Action(e)&unix.SECCOMP_RET_DATA
}

// A Treatment is what a filter does with a system call. The zero value is none.
type Treatment uint8

const (
	// Allow lets it through.
	Allow Treatment = iota + 1
	// Fail answers with an errno, or with success where the errno is 0.
	Fail
	// Notify asks the supervisor.
	Notify
)

// Self stands for the id of the process in the values of a Condition. It is known when the filter is installed.
const Self = ^uint32(0)

// A Condition is a test of one argument.
type Condition struct {
	// Arg is the argument's place, 0 to 5.
	Arg int
	// Wide compares all 64 bits; else the low 32 are compared, as the kernel truncates an int.
	Wide bool
	// Mask are the bits of the low half to compare; 0 means all.
	Mask uint32
	// Values are what the low half may be, and the high half of a wide argument is 0.
	Values []uint32
	// Not turns the test around: it holds for an argument that is none of the values.
	Not bool
}

// A Row says how one system call is treated, and why. Of several rows for a call, the first whose conditions all hold
// decides.
type Row struct {
	// Call is its name. A call that only another architecture has is no part of the filter here.
	Call string
	Do   Treatment
	// Errno is the answer of Fail.
	Errno unix.Errno
	// When are the conditions; without one the row holds always.
	When []Condition
	// Otherwise is the answer where a condition does not hold; 0 leaves the call to the rows below.
	Otherwise unix.Errno
	// Handler names who answers a call that the supervisor is asked about. "" stands for the call's own name.
	Handler string
	// Why is the reason, for who reads the table.
	Why string
}

// Key is the name of the row's handler, "" where nobody is asked.
func (r Row) Key() string {
	switch {
	case r.Do != Notify:
		return ""
	case r.Handler == "":
		return r.Call
	default:
		return r.Handler
	}
}

// Action is what the filter returns where the row's conditions hold.
func (r Row) Action() Action {
	switch r.Do {
	case Allow:
		return ActionAllow
	case Notify:
		return ActionNotify
	default:
		return Errno(r.Errno)
	}
}

// check finds what no row may say.
func (r Row) check() error {
	_, is := known(r.Call)
	switch {
	case !is:
		return errors.New("there is no such system call")
	case r.Why == "":
		return errors.New("it has no reason")
	case r.Do < Allow || r.Do > Notify:
		return errors.New("it has no treatment")
	case r.Do != Fail && r.Errno != 0:
		return errors.New("only a call that fails has an errno")
	case r.Do != Notify && r.Handler != "":
		return errors.New("only a call that the supervisor is asked about has a handler")
	case r.Otherwise != 0 && len(r.When) == 0:
		return errors.New("it has an answer for conditions that it does not have")
	}
	for _, c := range r.When {
		if c.Arg < 0 || c.Arg > 5 || len(c.Values) == 0 {
			return fmt.Errorf("its condition on argument %d compares nothing", c.Arg)
		}
	}
	return nil
}

// A Policy is a filter of system calls in words: the whole of what it does.
type Policy struct {
	Rows []Row
	// Rest is for a call that no row decides.
	Rest Action
	// Foreign is for a call through the entry of another architecture, or of x32.
	Foreign Action
}

// Handlers gives the key of the handler of each call that the supervisor may be asked about, by the call's number.
func (p Policy) Handlers() map[int32]string {
	out := map[int32]string{}
	for _, r := range p.Rows {
		if number, here := Number(r.Call); here && r.Do == Notify {
			out[int32(number)] = r.Key() // #nosec G115 -- far smaller
		}
	}
	return out
}
