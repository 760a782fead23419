package journal

import (
	"errors"
	"time"
)

// Occurrence is what sort of thing happened. The tables in transitions.go say to what it can happen, and what follows.
type Occurrence string

// What happens to operations.
const (
	Ask       Occurrence = "ask"       // it is put before a human
	Allow     Occurrence = "allow"     // the policy lets it run, and it starts
	Deny      Occurrence = "deny"      // the policy refuses it
	List      Occurrence = "list"      // a plan lists it
	Grant     Occurrence = "grant"     // an approver's standing answer approves it
	Approve   Occurrence = "approve"   // a human approves it
	Follow    Occurrence = "follow"    // it is of the rest of a text, which a human has approved
	Reject    Occurrence = "reject"    // a human rejects it
	Expire    Occurrence = "expire"    // nobody decided in time
	Cancel    Occurrence = "cancel"    // nobody waits for it any more
	Reopen    Occurrence = "reopen"    // its approval could not be carried out
	AskAgain  Occurrence = "ask again" // the script runs again and comes to it
	Start     Occurrence = "start"     // it begins to take effect
	NotMade   Occurrence = "not made"  // a look at the target shows that the change was not made
	Finish    Occurrence = "finish"    // it has taken effect
	Conflict  Occurrence = "conflict"  // the target holds something else by now
	Fail      Occurrence = "fail"      // it could not be done
	Lose      Occurrence = "lose"      // it ended, and what it did is not known
	Interrupt Occurrence = "interrupt" // the gateway stopped while it was under way
)

// What happens to sessions.
const (
	Begin      Occurrence = "begin"      // its script starts
	Hold       Occurrence = "hold"       // its script waits for a human
	Release    Occurrence = "release"    // nothing of it waits any more
	Withdraw   Occurrence = "withdraw"   // nobody waits any more for what it asked
	Park       Occurrence = "park"       // its script ends, and it waits on without
	Entrust    Occurrence = "entrust"    // a human approves the rest of its text as it stands
	Retract    Occurrence = "retract"    // the approval of the rest of its text is taken back
	Schedule   Occurrence = "schedule"   // its script is to start again
	Unschedule Occurrence = "unschedule" // its script is not to start again by itself
	Restart    Occurrence = "restart"    // its script starts again
	End        Occurrence = "end"        // it ends for good
	RollBack   Occurrence = "roll back"  // its changes were undone
)

// Event is something that happens to an operation or to a session. It carries all that the transition needs to know: the tables
// say what. Whatever else it carries is an error, so that nobody believes that it was recorded.
type Event struct {
	What Occurrence
	At   time.Time
	// By is who decided, by name and by the key that they came with.
	By     Identity
	Reason string  // one line
	Grant  int     // the number of the grant
	Result *Result // of a command
	End    *Ending // of a session
	// Deadline is when a session's waiting ends; zero for never.
	Deadline time.Time
	// GoesOn says of a session that is parked that its script is to start again, NothingSent that its client had sent no input.
	GoesOn, NothingSent bool
	Rest                *Rest // of a session's text, as it was approved
}

// Result is how a command ended.
type Result struct {
	ExitCode int // 128 and the signal where one ended it
	Signal   int // the number of the signal that ended it, 0 for none
	// Output is the SHA-256 of the recorded output, "" where there is none; OutputCut says that it is not whole.
	Output    string
	OutputCut bool
}

// Ending is how a session ended.
type Ending struct {
	Status   Status // a final one
	ExitCode int    // for the agent
}

// ErrTransition is wrapped by errors of Apply: the tables do not allow the event, and nothing was changed.
var ErrTransition = errors.New("not a transition of the journal")

// PolicyName is who decides where no human does.
const PolicyName = "policy"
