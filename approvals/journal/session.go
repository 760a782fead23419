// Package journal keeps what a gateway knows of its sessions: their records and operations, the digests that approvals name, and one
// table of the transitions between their states. It must never change a state in any other way than by that table, and never do
// anything to the world itself.
package journal

import (
	"slices"
	"time"

	"shannot-gateway/approvals/policy"
)

// Status is where a session stands.
type Status string

// Statuses. StatusRunning, StatusHeld and StatusParked are the ones that are not final.
const (
	StatusPlanned    Status = "planned"     // it listed what its script would do, and did nothing of it
	StatusRunning    Status = "running"     // its script runs
	StatusHeld       Status = "held"        // alive, waits inside an operation
	StatusParked     Status = "parked"      // not alive, a decision starts it again
	StatusDone       Status = "done"        // the script ended with exit status 0
	StatusFailed     Status = "failed"      // the script ended with another, or something of it could not be done
	StatusRejected   Status = "rejected"    // a human or the policy refused what it could not go on without
	StatusCancelled  Status = "cancelled"   // by its owner or by an approver
	StatusExpired    Status = "expired"     // nobody decided in time
	StatusTimedOut   Status = "timeout"     // the script took too long
	StatusRolledBack Status = "rolled_back" // what it had changed was undone
)

// Final reports whether the session has ended for good.
func (s Status) Final() bool { return s != StatusRunning && s != StatusHeld && s != StatusParked }

// Session is one run of one script, or of one command line, by one identity on one target.
type Session struct {
	ID       string
	Identity string // name
	Key      string // fingerprint of the key that asked
	Target   string
	Engine   string
	Name     string // the agent's own words
	Analysis string // the agent's own words
	// Plan says that nothing of it runs or waits, and that nothing of it can ever be decided: what its script would do is listed.
	Plan bool
	// Args is what follows the interpreter ("-", arguments…) for a script; empty for a command line.
	Args Strings
	// Script is the source text, or the shell text of a command line.
	Script       string
	ScriptSHA256 string // hex
	Shell        bool   // Script is shell text
	// Interactive says that a human typed the script at a terminal as it went: it cannot be run again, so the session
	// is never parked.
	Interactive bool `json:",omitempty"`
	// NothingSent says of a session that was parked that its client had sent no input by then: where a command reads a
	// stream, the stream was empty.
	NothingSent bool `json:",omitempty"`
	// Group is shared by sessions that were started together, the same on several targets; "" for none.
	Group string `json:",omitempty"`
	// Env is the environment that the session began with, KEY=VALUE.
	Env []string

	Status   Status
	Reason   string // why it was rejected, or what ended it, one line
	ExitCode *int   // exit status for the agent, once final
	Created  time.Time
	Ended    time.Time // zero while not final
	// Deadline is when the waiting ends: of hold while held, of expire while parked; zero otherwise.
	Deadline time.Time
	// GoesOn says of a parked session that somebody has decided, and that its script is to start again for that, as soon as it can.
	GoesOn    bool `json:",omitempty"`
	Truncated bool // the recorded output was cut
	// Output is the SHA-256 of the recorded output, which is kept as a blob; "" where it is in a file, as while alive.
	Output string `json:",omitempty"`

	// Rest is who approved the rest of its text; nil for nobody.
	Rest *Rest `json:",omitempty"`

	// Reads are the files of the target that the script opened, once it has ended or is parked; nil for none.
	Reads *Reads `json:",omitempty"`

	// Placed are the paths on the target of files of scratch that commands were given, until they are removed.
	Placed []Exact `json:",omitempty"`

	Operations []Operation

	// Damage says what of its content is not as it was kept, "" for nothing: found out by who reads the record, and never recorded.
	// Nothing of a parked session with damage can be approved.
	Damage string `json:"-"`
}

// Waits reports whether an operation waits for a human.
func (s *Session) Waits() bool {
	for i := range s.Operations {
		if s.Operations[i].Decision == Waiting {
			return true
		}
	}
	return false
}

// ApprovedNotStarted reports whether a decision has been given and not used.
func (s *Session) ApprovedNotStarted() bool {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == Approved && o.Started.IsZero() {
			return true
		}
	}
	return false
}

// Operation returns one by number.
func (s *Session) Operation(n int) *Operation {
	if n < 1 || n > len(s.Operations) {
		return nil
	}
	return &s.Operations[n-1]
}

// MayRollBack reports whether the session has changed files that a rollback can restore.
func (s *Session) MayRollBack() bool {
	if s.Status == StatusRolledBack {
		return false
	}
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Made() && o.File.Kept {
			return true
		}
	}
	return false
}

// Dangerous reports whether an operation is dangerous, or a change of a file is that is approved with it.
func (s *Session) Dangerous(n int) bool {
	o := s.Operation(n)
	switch {
	case o == nil:
		return false
	case o.Risk == policy.Danger:
		return true
	case o.Command == nil:
		return false
	}
	return slices.ContainsFunc(o.Command.Needs, func(n int) bool {
		file := s.Operation(n)
		return file != nil && file.Decision == Waiting && file.Risk == policy.Danger
	})
}
