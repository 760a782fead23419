package journal

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// transition is a row of the table of operations.
type transition struct {
	what Occurrence
	from []State
	to   State
	// carries are the parts of the event that must be there, may those that can be; no other is.
	carries, may []string
	// sets are the fields that it writes: all others stay as they are.
	sets []string
	when *condition // nil for always
	set  func(o *Operation, e *Event)
}

// condition must hold for a transition.
type condition struct {
	words string // after "when"
	holds func(*Operation) bool
}

// Conditions of operations.
var (
	isCommand      = &condition{"it is a command", func(o *Operation) bool { return o.Command != nil }}
	isChange       = &condition{"it is a change of a file", func(o *Operation) bool { return o.File != nil }}
	policyAllows   = &condition{"the policy's verdict is allow", func(o *Operation) bool { return o.Command != nil && o.Verdict == policy.Allow }}
	policyDenies   = &condition{"the policy's verdict is deny", func(o *Operation) bool { return o.Verdict == policy.Deny }}
	policyAsks     = &condition{"it is a command, and the policy's verdict is ask", func(o *Operation) bool { return o.Command != nil && o.Verdict == policy.Ask }}
	notDenied      = &condition{"the policy's verdict is not deny", func(o *Operation) bool { return o.Verdict != policy.Deny }}
	byHuman        = &condition{"it was approved", func(o *Operation) bool { return o.Decision == Approved }}
	approvedChange = &condition{"it is a change of a file that was approved", func(o *Operation) bool { return o.File != nil && o.Decision == Approved }}
)

// operationTable has every transition of an operation. What is not here does not happen.
var operationTable = []transition{
	{
		what: Ask, from: []State{StateNew}, to: StateWaiting, when: notDenied,
		sets: []string{"Decision"},
		set:  func(o *Operation, _ *Event) { o.Decision = Waiting },
	},
	{
		what: Allow, from: []State{StateNew, StateWaiting}, to: StateRunning, when: policyAllows,
		carries: []string{"At"}, sets: []string{"Decision", "By", "Reason", "Grant", "Decided", "Started"},
		set: func(o *Operation, e *Event) {
			o.Decision, o.By, o.Reason, o.Grant, o.Decided, o.Started = Allowed, PolicyName, "", 0, e.At, e.At
		},
	},
	{
		what: Deny, from: []State{StateNew}, to: StateDenied, when: policyDenies,
		carries: []string{"At"}, sets: []string{"Decision", "By", "Decided"},
		set: func(o *Operation, e *Event) { o.Decision, o.By, o.Decided = Denied, PolicyName, e.At },
	},
	{
		what: List, from: []State{StateNew}, to: StatePlanned, when: notDenied,
		sets: []string{"Decision"},
		set:  func(o *Operation, _ *Event) { o.Decision = Planned },
	},
	{
		what: Grant, from: []State{StateNew}, to: StateApproved, when: policyAsks,
		carries: []string{"At", "By", "Grant"}, sets: []string{"Decision", "By", "ByKey", "Reason", "Grant", "Decided"},
		set: func(o *Operation, e *Event) {
			o.decide(Approved, e, fmt.Sprintf("by grant %d", e.Grant))
			o.Grant = e.Grant
		},
	},
	{
		what: Approve, from: []State{StateWaiting}, to: StateApproved,
		carries: []string{"At", "By"}, sets: []string{"Decision", "By", "ByKey", "Reason", "Grant", "Decided"},
		set: func(o *Operation, e *Event) { o.decide(Approved, e, "") },
	},
	{
		what: Follow, from: []State{StateNew, StateWaiting}, to: StateApproved, when: notDenied,
		carries: []string{"At", "By"}, sets: []string{"Decision", "By", "ByKey", "Reason", "Grant", "Decided"},
		set: func(o *Operation, e *Event) { o.decide(Approved, e, "with the rest of the text") },
	},
	{
		what: Reject, from: []State{StateWaiting}, to: StateRejected,
		carries: []string{"At", "By", "Reason"}, sets: []string{"Decision", "By", "ByKey", "Reason", "Grant", "Decided"},
		set: func(o *Operation, e *Event) { o.decide(Rejected, e, e.Reason) },
	},
	{
		what: Expire, from: []State{StateWaiting}, to: StateExpired,
		carries: []string{"At"}, sets: []string{"Decision", "Decided"},
		set: func(o *Operation, e *Event) { o.Decision, o.Decided = Expired, e.At },
	},
	{
		what: Cancel, from: []State{StateWaiting}, to: StateCancelled,
		carries: []string{"At"}, may: []string{"Reason"}, sets: []string{"Decision", "Reason", "Decided"},
		set: func(o *Operation, e *Event) {
			o.Decision, o.Reason, o.Decided = Cancelled, cmp.Or(e.Reason, o.Reason), e.At
		},
	},
	{ // Who had approved it, and when, stays on record.
		what: Cancel, from: []State{StateApproved}, to: StateCancelled,
		carries: []string{"At"}, may: []string{"Reason"}, sets: []string{"Decision", "Reason"},
		set: func(o *Operation, e *Event) { o.Decision, o.Reason = Cancelled, cmp.Or(e.Reason, o.Reason) },
	},
	{
		what: Reopen, from: []State{StateApproved}, to: StateWaiting,
		carries: []string{"Reason"}, sets: []string{"Decision", "By", "ByKey", "Reason", "Grant", "Decided"},
		set: func(o *Operation, e *Event) {
			o.undecide(fmt.Sprintf("was approved by %s and could not be carried out: %s", render.Line(o.By), e.Reason))
		},
	},
	{
		what: AskAgain, from: []State{StateExpired, StateCancelled}, to: StateWaiting,
		sets: []string{"Decision", "By", "ByKey", "Reason", "Grant", "Decided"},
		set:  func(o *Operation, _ *Event) { o.undecide("") },
	},
	{
		what: Start, from: []State{StateApproved}, to: StateRunning,
		carries: []string{"At"}, sets: []string{"Started"},
		set: func(o *Operation, e *Event) { o.Started = e.At },
	},
	{
		what: NotMade, from: []State{StateRunning}, to: StateApproved, when: approvedChange,
		sets: []string{"Started"},
		set:  func(o *Operation, _ *Event) { o.Started = time.Time{} },
	},
	{
		what: Finish, from: []State{StateRunning}, to: StateDone, when: isCommand,
		carries: []string{"At", "Result"}, sets: []string{"Finished", "ExitCode", "Signal", "Output", "OutputCut"},
		set: func(o *Operation, e *Event) { o.end(e) },
	},
	{
		what: Finish, from: []State{StateRunning}, to: StateDone, when: isChange,
		carries: []string{"At"}, sets: []string{"Finished"},
		set: func(o *Operation, e *Event) { o.Finished = e.At },
	},
	{
		what: Conflict, from: []State{StateRunning}, to: StateConflict, when: byHuman,
		carries: []string{"At", "Reason"}, sets: []string{"Decision", "Reason", "Finished"},
		set: func(o *Operation, e *Event) { o.Decision, o.Reason, o.Finished = Conflicted, e.Reason, e.At },
	},
	{
		what: Fail, from: []State{StateRunning}, to: StateFailed, when: byHuman,
		carries: []string{"At", "Reason"}, sets: []string{"Decision", "Reason", "Finished"},
		set: func(o *Operation, e *Event) { o.Decision, o.Reason, o.Finished = Failed, e.Reason, e.At },
	},
	{
		what: Lose, from: []State{StateRunning}, to: StateUnknown, when: isCommand,
		carries: []string{"At", "Result"}, sets: []string{"Decision", "Finished", "ExitCode", "Signal", "Output", "OutputCut"},
		set: func(o *Operation, e *Event) {
			o.Decision = Unknown
			o.end(e)
		},
	},
	{
		what: Lose, from: []State{StateRunning}, to: StateUnknown, when: isChange,
		carries: []string{"At", "Reason"}, sets: []string{"Decision", "Reason", "Finished"},
		set: func(o *Operation, e *Event) { o.Decision, o.Reason, o.Finished = Unknown, e.Reason, e.At },
	},
	{
		what: Interrupt, from: []State{StateRunning}, to: StateUnknown,
		sets: []string{"Decision"},
		set:  func(o *Operation, _ *Event) { o.Decision = Unknown },
	},
}

// decide writes a human's decision.
func (o *Operation) decide(d Decision, e *Event, reason string) {
	o.Decision, o.By, o.ByKey, o.Reason, o.Grant, o.Decided = d, e.By.Name, e.By.Fingerprint, reason, 0, e.At
}

// undecide takes a decision off, so that the operation waits.
func (o *Operation) undecide(reason string) {
	o.Decision, o.By, o.ByKey, o.Reason, o.Grant, o.Decided = Waiting, "", "", reason, 0, time.Time{}
}

// end writes how a command ended.
func (o *Operation) end(e *Event) {
	code := e.Result.ExitCode
	o.Finished, o.ExitCode, o.Signal, o.Output, o.OutputCut = e.At, &code, e.Result.Signal, e.Result.Output, e.Result.OutputCut
}

// sessionTransition is a row of the table of sessions.
type sessionTransition struct {
	what         Occurrence
	from         []Status
	to           []Status // one of them
	carries, may []string
	sets         []string
	whenWords    string
	when         func(*Session, *Event) bool // nil for always
	set          func(*Session, *Event) error
}

// Statuses of sessions in the table.
var (
	alive    = []Status{StatusRunning, StatusHeld}
	open     = []Status{StatusRunning, StatusHeld, StatusParked}
	finished = []Status{StatusDone, StatusFailed, StatusRejected, StatusCancelled, StatusExpired, StatusTimedOut}
)

// sessionTable has every transition of a session. What is not here does not happen.
var sessionTable = []sessionTransition{
	{
		what: Begin, from: []Status{statusNew}, to: []Status{StatusRunning},
		carries: []string{"At"}, sets: []string{"Status", "Created"},
		set: func(s *Session, e *Event) error { s.Status, s.Created = StatusRunning, e.At; return nil },
	},
	{
		what: Hold, from: alive, to: []Status{StatusHeld},
		may: []string{"Deadline"}, sets: []string{"Status", "Deadline"},
		whenWords: "an operation waits", when: func(s *Session, _ *Event) bool { return s.Waits() },
		set: func(s *Session, e *Event) error { s.Status, s.Deadline = StatusHeld, e.Deadline; return nil },
	},
	{
		what: Release, from: []Status{StatusHeld}, to: []Status{StatusRunning},
		sets:      []string{"Status", "Deadline"},
		whenWords: "no operation waits", when: func(s *Session, _ *Event) bool { return !s.Waits() },
		set: func(s *Session, _ *Event) error { s.Status, s.Deadline = StatusRunning, time.Time{}; return nil },
	},
	{
		what: Withdraw, from: alive, to: []Status{StatusRunning},
		carries: []string{"At"}, sets: []string{"Status", "Deadline", "Rest", "Operations"},
		set: func(s *Session, e *Event) error {
			s.Status, s.Deadline, s.Rest = StatusRunning, time.Time{}, nil
			return s.settle(Cancel, e.At)
		},
	},
	{
		what: Park, from: alive, to: []Status{StatusParked},
		may: []string{"Deadline", "GoesOn", "NothingSent"}, sets: []string{"Status", "Deadline", "GoesOn", "NothingSent"},
		whenWords: "nobody typed its script, and it is no plan", when: func(s *Session, _ *Event) bool { return !s.Interactive && !s.Plan },
		set: func(s *Session, e *Event) error {
			s.Status, s.Deadline, s.GoesOn, s.NothingSent = StatusParked, e.Deadline, e.GoesOn, s.NothingSent || e.NothingSent
			return nil
		},
	},
	{
		what: Entrust, from: open, to: open,
		carries: []string{"Rest"}, sets: []string{"Rest"},
		whenWords: "it runs a text in the sandbox's shell, and is no plan", when: func(s *Session, _ *Event) bool { return s.hasRest() },
		set: func(s *Session, e *Event) error {
			rest := *e.Rest
			s.Rest = &rest
			return rest.whole()
		},
	},
	{
		what: Retract, from: open, to: open,
		sets: []string{"Rest"},
		set:  func(s *Session, _ *Event) error { s.Rest = nil; return nil },
	},
	{
		what: Schedule, from: []Status{StatusParked}, to: []Status{StatusParked},
		sets: []string{"GoesOn"},
		set:  func(s *Session, _ *Event) error { s.GoesOn = true; return nil },
	},
	{
		what: Unschedule, from: []Status{StatusParked}, to: []Status{StatusParked},
		sets: []string{"GoesOn"},
		set:  func(s *Session, _ *Event) error { s.GoesOn = false; return nil },
	},
	{
		what: Restart, from: []Status{StatusParked}, to: []Status{StatusRunning},
		sets:      []string{"Status", "Deadline", "GoesOn"},
		whenWords: "it is no plan", when: func(s *Session, _ *Event) bool { return !s.Plan }, // one of an earlier program
		set: func(s *Session, _ *Event) error {
			s.Status, s.Deadline, s.GoesOn = StatusRunning, time.Time{}, false
			return nil
		},
	},
	{
		what: End, from: open, to: append([]Status{StatusPlanned}, finished...),
		carries: []string{"At", "End"}, may: []string{"Reason"},
		sets: []string{"Status", "Reason", "ExitCode", "Ended", "Deadline", "GoesOn", "Operations"},
		set:  (*Session).end,
	},
	{
		what: RollBack, from: finished, to: []Status{StatusRolledBack},
		carries: []string{"By"}, sets: []string{"Status", "Reason"},
		set: func(s *Session, e *Event) error {
			s.Status, s.Reason = StatusRolledBack, "rolled back by "+e.By.Name
			return nil
		},
	},
}

// end gives the session its final status. What waits in it is cancelled, or expires with it; what was approved and never started is
// cancelled: the session that it was for has ended.
func (s *Session) end(e *Event) error {
	code := e.End.ExitCode
	s.Status, s.Reason, s.ExitCode, s.Ended, s.Deadline, s.GoesOn = e.End.Status, e.Reason, &code, e.At, time.Time{}, false
	if s.Status == StatusExpired {
		return s.settle(Expire, e.At)
	}
	return s.settle(Cancel, e.At)
}

// settle ends what is undecided in a session. The operations are replaced: others may share the list.
func (s *Session) settle(waiting Occurrence, at time.Time) error {
	s.Operations = slices.Clone(s.Operations)
	for i := range s.Operations {
		o := &s.Operations[i]
		what := Cancel
		switch o.State() {
		case StateWaiting:
			what = waiting
		case StateApproved:
		default:
			continue
		}
		if err := o.Apply(Event{What: what, At: at}); err != nil {
			return err
		}
	}
	return nil
}
