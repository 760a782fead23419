// Package approvals keeps sessions and their operations: what a script wanted to do, what the policy and a human
// said, and what came of it. An operation that waits is in the journal before anyone is told of it, a decision is
// consumed before anything starts, and what runs is the stored record. The package must never run anything that is
// not recorded, and never derive again what a human was shown.
package approvals

import (
	"errors"
	"time"

	"shannot-gateway/approvals/policy"
)

// Role is what an identity may do.
type Role string

// Roles.
const (
	Agent    Role = "agent"
	Approver Role = "approver"
	Admin    Role = "admin"
)

// Identity is who is asking: a name and role from the configuration, and the key that completed authentication.
type Identity struct {
	Name        string
	Role        Role
	Fingerprint string // SHA256:… of the key
}

// MayDecide reports whether the identity's role may approve and reject.
func (i Identity) MayDecide() bool { return i.Role == Approver || i.Role == Admin }

// Status is where a session stands.
type Status string

// Statuses. Running, Held and Parked are the ones that are not final.
const (
	Running    Status = "running"
	Held       Status = "held"   // alive, waits inside an operation
	Parked     Status = "parked" // not alive, a decision starts it again
	Done       Status = "done"
	Failed     Status = "failed" // the script ended non-zero
	Rejected   Status = "rejected"
	Cancelled  Status = "cancelled"
	Expired    Status = "expired"
	TimedOut   Status = "timeout"
	RolledBack Status = "rolled_back"
)

// Final reports whether the session has ended for good.
func (s Status) Final() bool { return s != Running && s != Held && s != Parked }

// Decision is what became of one operation.
type Decision string

// Decisions. Waiting and Approved are not final; Unknown is an approved operation whose gateway died before the
// result was recorded: it may have run, and is never run again by itself.
const (
	Waiting      Decision = "waiting"
	Allowed      Decision = "allowed"  // by policy, no human
	Denied       Decision = "denied"   // by policy
	Approved     Decision = "approved" // by a human
	Refused      Decision = "rejected" // by a human
	Lapsed       Decision = "expired"
	Withdrawn    Decision = "cancelled"
	UnknownState Decision = "unknown"
	// Conflicted is an approved change of a file that was not made, since the target holds something else by now;
	// Broken is one that could not be made. Nothing was changed in either case.
	Conflicted Decision = "conflict"
	Broken     Decision = "failed"
)

// Kind is what sort of operation it is.
type Kind string

// Kinds.
const (
	CommandKind Kind = "command"
	// RollbackKind is a change that undoes others; the kinds of other changes are those of targets.FileOp.
	RollbackKind Kind = "rollback"
)

// Session is one run of one script, or of one command line, by one identity on one target.
type Session struct {
	ID       string
	Identity string // name
	Key      string // fingerprint of the key that asked
	Target   string
	Engine   string
	Name     string // the agent's own words
	Analysis string // the agent's own words
	Plan     bool
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

	// Reads are the files of the target that the script opened, once it has ended or is parked; nil for none.
	Reads *Reads `json:",omitempty"`

	// Placed are the paths on the target of files of scratch that commands were given, until they are removed.
	Placed []Exact `json:",omitempty"`

	Operations []Operation
}

// Operation is one thing that a session wants to do to its target.
type Operation struct {
	N        int // from 1, in the order in which the script asked
	Kind     Kind
	Summary  string // one line, rendered: safe to print
	Verdict  policy.Verdict
	Risk     policy.Risk
	Why      string // the policy's reason, names the word that decided
	Decision Decision
	By       string // approver's name, or "policy"
	ByKey    string // fingerprint of the approver's key
	Reason   string // the human's reason for a rejection, or which grant it was approved by
	Digest   string // hex SHA-256 of the canonical encoding of Command
	Grant    int    `json:",omitempty"` // the number of the grant that it was approved by, 0 where a human saw it
	Created  time.Time
	Decided  time.Time
	Started  time.Time
	Finished time.Time
	ExitCode *int // of the command; 128+signal where a signal ended it
	Signal   int  `json:",omitempty"` // the number of the signal that ended the command
	// Output is the SHA-256 of the recorded output, which is kept as a blob; "" where there is none, or not yet.
	Output string `json:",omitempty"`
	// OutputCut says that the recorded output is not whole, so that it cannot be replayed.
	OutputCut bool     `json:",omitempty"`
	Command   *Command `json:",omitempty"`
	// File is the change, for every kind but a command.
	File *File `json:",omitempty"`
}

// Command is everything about a command that a human is shown and that the digest covers. It is stored when the
// operation is created, and exactly it is run.
type Command struct {
	Target string
	RunAs  string  // user name on the target
	Path   string  // executable as resolved on the target
	Argv   Strings // for shell text: the shell, "-c", the text
	Dir    string
	// Env is the whole environment of the command, KEY=VALUE sorted; EnvChanges is how it differs from the
	// environment that the session began with: "KEY=VALUE" added or changed, "-KEY" removed.
	Env        Strings
	EnvChanges Strings
	// Input says where standard input comes from: "none", "data" (known: InputData), "file", "stream".
	Input       string
	InputData   []byte `json:",omitempty"`
	InputSHA256 string `json:",omitempty"` // hex, of InputData
	// Before holds the digests of the changes of files that are made before the command, in order.
	Before []string `json:",omitempty"`
	// Needs are the numbers of those operations. They are decided with the command. Not in the digest.
	Needs []int `json:",omitempty"`
	// Scratch are the files of the session's scratch that the command names. They are put on the target before it
	// starts, where nothing may be, and are removed with the session's end.
	Scratch []File `json:",omitempty"`
	// Line is the script's line that asked, by the script's own word; 0 where not known. Not in the digest.
	Line int
}

// Errors that callers tell apart with errors.Is.
var (
	ErrStore        = errors.New("journal")
	ErrExists       = errors.New("session exists")
	ErrNotFound     = errors.New("no such session")
	ErrNotPermitted = errors.New("not permitted")
	ErrNotWaiting   = errors.New("nothing waits in this session")
	// ErrObstacle is wrapped by what Obstacle says, where something was to be approved.
	ErrObstacle    = errors.New("cannot be approved")
	ErrTooMany     = errors.New("busy")
	ErrOutputLimit = errors.New("output limit reached")
	ErrExpired     = errors.New("expired")
	ErrParked      = errors.New("parked")
	ErrCancelled   = errors.New("cancelled")
	ErrShutdown    = errors.New("the gateway is shutting down")
)
