package journal

import (
	"time"

	"shannot-gateway/approvals/policy"
)

// Decision is what became of one operation.
type Decision string

// Decisions. Waiting and Approved are not final; Unknown is an approved operation whose gateway died before the
// result was recorded: it may have run, and is never run again by itself.
const (
	Waiting   Decision = "waiting"
	Allowed   Decision = "allowed"  // by policy, no human
	Denied    Decision = "denied"   // by policy
	Approved  Decision = "approved" // by a human
	Rejected  Decision = "rejected" // by a human
	Expired   Decision = "expired"
	Cancelled Decision = "cancelled"
	Planned   Decision = "planned" // listed by a plan: nobody decides on it, and it never runs
	Unknown   Decision = "unknown"
	// Conflicted is an approved change of a file that was not made, since the target holds something else by now;
	// Failed is one that could not be made. Nothing was changed in either case.
	Conflicted Decision = "conflict"
	Failed     Decision = "failed"
)

// Kind is what sort of operation it is.
type Kind string

// Kinds. Those of changes of files are also what a target calls them: targets.FileOp.
const (
	CommandKind  Kind = "command"
	RollbackKind Kind = "rollback" // a change that undoes others: File.Op says which

	Write   Kind = "write"
	Delete  Kind = "delete"
	Rename  Kind = "rename"
	Mkdir   Kind = "mkdir"
	Rmdir   Kind = "rmdir"
	Symlink Kind = "symlink"
	Chmod   Kind = "chmod"
	Chown   Kind = "chown"
	Touch   Kind = "touch"
)

// Operation is one thing that a session wants to do to its target.
type Operation struct {
	N       int // from 1, in the order in which the script asked
	Kind    Kind
	Summary string // one line, rendered: safe to print
	Verdict policy.Verdict
	Risk    policy.Risk
	Why     string // the policy's reason, names the word that decided
	// Effect says in a sentence what a command does, and Undo whether that can be undone, as policy.Decision has them.
	Effect   string `json:",omitempty"`
	Undo     string `json:",omitempty"`
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

// Undecided reports whether the operation waits for a decision, or for the start that a decision allowed.
func (o *Operation) Undecided() bool {
	return o.Decision == Waiting || o.Decision == Approved && o.Started.IsZero()
}

// Made reports whether the operation is a change that was made.
func (o *Operation) Made() bool {
	return o.File != nil && o.Kind != RollbackKind && o.Decision == Approved && !o.Finished.IsZero()
}
