// Package approvals keeps sessions and their operations: what a script wanted to do, what the policy and a human
// said, and what came of it. An operation that waits is in the journal before anyone is told of it, a decision is
// consumed before anything starts, and what runs is the stored record. The package must never run anything that is
// not recorded, and never derive again what a human was shown.
package approvals

import (
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
)

// The journal's records, under the names of the service that keeps them.
type (
	Role      = journal.Role
	Identity  = journal.Identity
	Status    = journal.Status
	Decision  = journal.Decision
	Kind      = journal.Kind
	Session   = journal.Session
	Operation = journal.Operation
	Command   = journal.Command
	File      = journal.File
	FileState = journal.FileState
	Strings   = journal.Strings
	Exact     = journal.Exact
	Reads     = journal.Reads
	Detail    = journal.Detail
	Blobs     = journal.Blobs
	Revision  = journal.Revision
	Anchor    = journal.Anchor
	Auditor   = journal.Auditor

	Stream = output.Stream
	Chunk  = output.Chunk
)

// The journal's roles, statuses, decisions and kinds.
const (
	Agent    = journal.Agent
	Approver = journal.Approver
	Admin    = journal.Admin

	StatusRunning    = journal.StatusRunning
	StatusHeld       = journal.StatusHeld
	StatusParked     = journal.StatusParked
	StatusDone       = journal.StatusDone
	StatusFailed     = journal.StatusFailed
	StatusRejected   = journal.StatusRejected
	StatusCancelled  = journal.StatusCancelled
	StatusExpired    = journal.StatusExpired
	StatusTimedOut   = journal.StatusTimedOut
	StatusRolledBack = journal.StatusRolledBack

	Waiting    = journal.Waiting
	Allowed    = journal.Allowed
	Denied     = journal.Denied
	Approved   = journal.Approved
	Rejected   = journal.Rejected
	Expired    = journal.Expired
	Cancelled  = journal.Cancelled
	Unknown    = journal.Unknown
	Conflicted = journal.Conflicted
	Failed     = journal.Failed

	StreamStdout = output.Stdout
	StreamStderr = output.Stderr
	StreamNotice = output.Notice
	StreamState  = output.State

	CommandKind  = journal.CommandKind
	RollbackKind = journal.RollbackKind
)

// The journal's errors.
var (
	ErrStore        = journal.ErrStore
	ErrExists       = journal.ErrExists
	ErrNotFound     = journal.ErrNotFound
	ErrNotPermitted = journal.ErrNotPermitted
	ErrNotWaiting   = journal.ErrNotWaiting
	ErrObstacle     = journal.ErrObstacle
	ErrTooMany      = journal.ErrTooMany
	ErrOutputLimit  = journal.ErrOutputLimit
	ErrExpired      = journal.ErrExpired
	ErrParked       = journal.ErrParked
	ErrCancelled    = journal.ErrCancelled
	ErrShutdown     = journal.ErrShutdown
	ErrTooLarge     = journal.ErrTooLarge
	ErrNoContent    = journal.ErrNoContent
	ErrDamaged      = journal.ErrDamaged
)

// ValidID reports whether id could be a session's.
func ValidID(id string) bool { return journal.ValidID(id) }

// IsGroup reports whether an id is that of a group, and no session's.
func IsGroup(id string) bool { return journal.IsGroup(id) }

// WaitingDigestOf is the waiting digest of several sessions, which an approval of a group names; "" where nothing waits in any.
func WaitingDigestOf(sessions []Session) string { return journal.WaitingDigestOf(sessions) }
