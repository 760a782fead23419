// Package decision says what an approver's word is about: which operations of which sessions, named by the digest of what was
// shown, and what hangs on them. It changes records in memory only, by transitions of the journal; whoever calls it stores them in
// one transaction. It knows neither who may decide nor what runs. Begin with approval.go.
package decision

import (
	"fmt"
	"slices"
	"time"

	"shannot-gateway/approvals/journal"
)

// Decision is what somebody has decided.
type Decision struct {
	By journal.Identity
	// Choose finds what is to be decided of each of the sessions.
	Choose func([]*journal.Session) ([][]*journal.Operation, error)
	event  journal.Event // what happens to each operation, but for the time
	// Approves says that something is to run by it.
	Approves bool
	rest     func(*journal.Session, time.Time) error            // approves the rest of a text as it stands before the decision, or takes that back; nil for neither
	check    func(*journal.Session, []*journal.Operation) error // has the last word on all that was decided in a session; nil for none
}

// Decision is the approval as a decision of somebody on one session.
func (a *Approval) Decision(by journal.Identity) Decision {
	d := Decision{By: by, Choose: a.chooseOne, Approves: true, event: journal.Event{What: journal.Approve, By: by}, check: a.confirmed}
	if a.Rest {
		d.rest = func(s *journal.Session, now time.Time) error { return a.entrust(s, by, now) }
	}
	return d
}

// entrust puts the approval of the rest into a session.
func (a *Approval) entrust(s *journal.Session, by journal.Identity, now time.Time) error {
	return s.Apply(journal.Event{What: journal.Entrust, Rest: &journal.Rest{
		By: by.Name, ByKey: by.Fingerprint, At: now, Digest: s.RestDigest(), Danger: slices.Contains(a.Danger, s.Target),
	}})
}

// GroupDecision is the approval as a decision of somebody on all that waits in several sessions that were shown together.
func (a *Approval) GroupDecision(by journal.Identity) Decision {
	d := a.Decision(by)
	d.Choose = a.chooseAll
	return d
}

// Rejection is a decision against operations of one session, by number; none for all that wait. The reason is one line.
func Rejection(by journal.Identity, ops []int, reason string) Decision {
	return Decision{
		By: by, event: journal.Event{What: journal.Reject, By: by, Reason: reason}, rest: distrust,
		Choose: func(all []*journal.Session) ([][]*journal.Operation, error) {
			chosen, err := choose(all[0], ops)
			return [][]*journal.Operation{chosen}, err
		},
	}
}

// distrust takes back the approval of the rest of a text: what comes after a rejection was not approved with it.
func distrust(s *journal.Session, _ time.Time) error { return s.Distrust() }

// Take puts a decision into a session.
func (d Decision) Take(s *journal.Session, chosen []*journal.Operation, now time.Time) error {
	var decided []*journal.Operation
	event := d.event
	event.At = now
	decideOn := func(o *journal.Operation) error {
		decided = append(decided, o)
		return o.Apply(event)
	}
	if d.rest != nil {
		if err := d.rest(s, now); err != nil {
			return err
		}
	}
	for _, o := range chosen {
		if err := decideOn(o); err != nil {
			return err
		}
	}
	if err := together(s, chosen, decideOn); err != nil {
		return err
	}
	if d.check != nil {
		if err := d.check(s, decided); err != nil {
			return err
		}
	}
	return journal.ReleaseDecided(s)
}

// together extends a decision to what hangs on it: the changes before a command, and the commands after a rejected
// change.
func together(s *journal.Session, chosen []*journal.Operation, decideOn func(*journal.Operation) error) error {
	for _, o := range chosen {
		if o.Command == nil {
			continue
		}
		for _, n := range o.Command.Needs {
			file := s.Operation(n)
			switch {
			case file == nil:
				return fmt.Errorf("%w: operation %d needs operation %d, which is not there", journal.ErrStore, o.N, n)
			case file.Decision == journal.Waiting:
				if err := decideOn(file); err != nil {
					return err
				}
			case o.Decision == journal.Approved && (file.Decision == journal.Rejected || file.Decision == journal.Cancelled):
				return fmt.Errorf("%w: operation %d, which comes before operation %d, is %s", journal.ErrNotWaiting, n, o.N, decidedBy(file))
			}
		}
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Decision != journal.Waiting || o.Command == nil {
			continue
		}
		for _, n := range o.Command.Needs {
			if file := s.Operation(n); file != nil && file.Decision == journal.Rejected {
				err := o.Apply(journal.Event{
					What: journal.Reject, At: file.Decided, By: journal.Identity{Name: file.By, Fingerprint: file.ByKey},
					Reason: fmt.Sprintf("operation %d, which comes before it, was rejected: %s", n, file.Reason),
				})
				if err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}
