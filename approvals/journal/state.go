package journal

import "time"

// State is where an operation stands: its decision, and how far it was carried out. An operation has the state that its fields say;
// it is not stored.
type State string

// States of operations.
const (
	StateNew       State = "new"       // not taken in yet
	StateWaiting   State = "waiting"   // for a human
	StateApproved  State = "approved"  // by a human, and not started
	StateRunning   State = "running"   // allowed by the policy or approved, and started
	StateDone      State = "done"      // it has taken effect, or its command has ended
	StateDenied    State = "denied"    // by the policy
	StateRejected  State = "rejected"  // by a human
	StateExpired   State = "expired"   // nobody decided in time
	StateCancelled State = "cancelled" // nobody waits for it any more
	StateConflict  State = "conflict"  // not made: the target holds something else
	StateFailed    State = "failed"    // not made: it could not be
	StatePlanned   State = "planned"   // listed by a plan, and never run
	StateUnknown   State = "unknown"   // started, and what it did is not known
)

// stateNone is of a record that this program never writes.
const stateNone = State("")

// State is where the operation stands; "" for a record that this program never writes.
func (o *Operation) State() State {
	switch o.Decision {
	case "":
		return StateNew
	case Waiting:
		return StateWaiting
	case Approved, Allowed:
		switch {
		case !o.Finished.IsZero():
			return StateDone
		case !o.Started.IsZero():
			return StateRunning
		case o.Decision == Approved:
			return StateApproved
		}
	case Denied:
		return StateDenied
	case Rejected:
		return StateRejected
	case Expired:
		return StateExpired
	case Cancelled:
		return StateCancelled
	case Planned:
		return StatePlanned
	case Unknown:
		return StateUnknown
	case Conflicted:
		return StateConflict
	case Failed:
		return StateFailed
	}
	return stateNone
}

// shape says what a record in a state has and has not: names of fields.
type shape struct {
	must, never []string
}

// notStarted are the fields that an operation has from its start on.
var notStarted = []string{"Started", "Finished", "ExitCode", "Signal", "Output", "OutputCut"}

// shapes are those of operations.
var shapes = map[State]shape{
	StateNew:       {never: append([]string{"By", "ByKey", "Decided", "Grant", "Reason"}, notStarted...)},
	StateWaiting:   {never: append([]string{"By", "ByKey", "Decided"}, notStarted...)},
	StateApproved:  {must: []string{"By", "ByKey", "Decided"}, never: notStarted},
	StateRunning:   {must: []string{"By", "Decided", "Started"}, never: notStarted[1:]},
	StateDone:      {must: []string{"By", "Decided", "Started", "Finished"}},
	StateDenied:    {must: []string{"By", "Decided"}, never: append([]string{"ByKey", "Grant"}, notStarted...)},
	StateRejected:  {must: []string{"By", "ByKey", "Decided", "Reason"}, never: notStarted},
	StateExpired:   {must: []string{"Decided"}, never: append([]string{"By", "ByKey"}, notStarted...)},
	StateCancelled: {must: []string{"Decided"}, never: notStarted},
	StatePlanned:   {never: append([]string{"By", "ByKey", "Decided", "Grant", "Reason"}, notStarted...)},
	StateUnknown:   {must: []string{"By", "Decided", "Started"}},
	StateConflict:  {must: []string{"By", "Decided", "Started", "Finished", "Reason"}},
	StateFailed:    {must: []string{"By", "Decided", "Started", "Finished", "Reason"}},
}

// operationFields are the fields of operations that transitions write, and whether one has them.
var operationFields = []struct {
	name string
	has  func(*Operation) bool
}{
	{"Decision", func(o *Operation) bool { return o.Decision != "" }},
	{"By", func(o *Operation) bool { return o.By != "" }},
	{"ByKey", func(o *Operation) bool { return o.ByKey != "" }},
	{"Reason", func(o *Operation) bool { return o.Reason != "" }},
	{"Grant", func(o *Operation) bool { return o.Grant != 0 }},
	{"Decided", func(o *Operation) bool { return !o.Decided.IsZero() }},
	{"Started", func(o *Operation) bool { return !o.Started.IsZero() }},
	{"Finished", func(o *Operation) bool { return !o.Finished.IsZero() }},
	{"ExitCode", func(o *Operation) bool { return o.ExitCode != nil }},
	{"Signal", func(o *Operation) bool { return o.Signal != 0 }},
	{"Output", func(o *Operation) bool { return o.Output != "" }},
	{"OutputCut", func(o *Operation) bool { return o.OutputCut }},
}

// ended is the shape of sessions that have ended.
var ended = shape{must: []string{"Ended", "ExitCode"}, never: []string{"Deadline", "GoesOn", "an undecided operation"}}

// statusShapes are those of sessions.
var statusShapes = map[Status]shape{
	statusNew:        {never: []string{"Ended", "ExitCode", "Reason", "Deadline", "GoesOn", "Operations"}},
	StatusRunning:    {must: []string{"Created"}, never: []string{"Ended", "ExitCode", "Reason", "Deadline", "GoesOn"}},
	StatusHeld:       {must: []string{"Created", "a waiting operation"}, never: []string{"Ended", "ExitCode", "Reason", "GoesOn"}},
	StatusParked:     {must: []string{"Created"}, never: []string{"Ended", "ExitCode", "Reason", "Interactive"}},
	StatusPlanned:    {must: append([]string{"Plan"}, ended.must...), never: ended.never},
	StatusDone:       ended,
	StatusFailed:     ended,
	StatusRejected:   ended,
	StatusCancelled:  ended,
	StatusExpired:    ended,
	StatusTimedOut:   ended,
	StatusRolledBack: ended,
}

// statusNew is the status of a session that is not recorded yet.
const statusNew Status = ""

// sessionFields are the facts of sessions that shapes name, and whether one has them.
var sessionFields = []struct {
	name string
	has  func(*Session) bool
}{
	{"Created", func(s *Session) bool { return !s.Created.IsZero() }},
	{"Ended", func(s *Session) bool { return !s.Ended.IsZero() }},
	{"ExitCode", func(s *Session) bool { return s.ExitCode != nil }},
	{"Reason", func(s *Session) bool { return s.Reason != "" }},
	{"Deadline", func(s *Session) bool { return !s.Deadline.IsZero() }},
	{"GoesOn", func(s *Session) bool { return s.GoesOn }},
	{"Interactive", func(s *Session) bool { return s.Interactive }},
	{"Plan", func(s *Session) bool { return s.Plan }},
	{"Operations", func(s *Session) bool { return len(s.Operations) > 0 }},
	{"a waiting operation", (*Session).Waits},
	{"an undecided operation", (*Session).undecided},
}

// undecided reports whether an operation waits for a decision, or for the start that a decision allowed.
func (s *Session) undecided() bool {
	for i := range s.Operations {
		if s.Operations[i].Undecided() {
			return true
		}
	}
	return false
}

// ApprovedSince reports whether a decision has been given since a time, and not used.
func (s *Session) ApprovedSince(t time.Time) bool {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.State() == StateApproved && !o.Decided.Before(t) {
			return true
		}
	}
	return false
}
