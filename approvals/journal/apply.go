package journal

import (
	"errors"
	"fmt"
	"slices"
)

// Apply lets something happen to an operation: it writes all fields of the transition. An error wraps ErrTransition where the table
// does not have it, where the event does not carry what it needs or carries more, or where the operation would be none that this program
// writes. Nothing is changed then.
func (o *Operation) Apply(e Event) error {
	t, err := o.transition(&e)
	if err == nil {
		err = e.carries(t.carries, t.may)
	}
	after := *o
	if err == nil {
		t.set(&after, &e)
		err = errors.Join(after.misshapen()...)
	}
	if got := after.State(); err == nil && got != t.to {
		err = fmt.Errorf("it would be %s", got)
	}
	if err != nil {
		return fmt.Errorf("%w: %q of operation %d, which is %s: %w", ErrTransition, e.What, o.N, o.State(), err)
	}
	*o = after
	return nil
}

// errNoRow is for an event that does not happen in this state.
var errNoRow = errors.New("it does not happen then")

// transition finds the row for an event.
func (o *Operation) transition(e *Event) (*transition, error) {
	missing, from := errNoRow, o.State()
	for i := range operationTable {
		t := &operationTable[i]
		switch {
		case t.what != e.What || !slices.Contains(t.from, from):
		case t.when != nil && !t.when.holds(o):
			missing = fmt.Errorf("only when %s", t.when.words)
		default:
			return t, nil
		}
	}
	return nil, missing
}

// Apply lets something happen to a session, and to the operations that it concerns. The errors are those of Operation.Apply.
func (s *Session) Apply(e Event) error {
	t, err := s.transition(&e)
	if err == nil {
		err = e.carries(t.carries, t.may)
	}
	after := *s
	if err == nil {
		err = t.set(&after, &e)
	}
	if err == nil {
		err = errors.Join(after.misshapen()...)
	}
	if err == nil && !slices.Contains(t.to, after.Status) {
		err = fmt.Errorf("it would be %s", after.Status)
	}
	if err != nil {
		return fmt.Errorf("%w: %q of session %s, which is %s: %w", ErrTransition, e.What, s.ID, s.Status, err)
	}
	*s = after
	return nil
}

func (s *Session) transition(e *Event) (*sessionTransition, error) {
	for i := range sessionTable {
		t := &sessionTable[i]
		switch {
		case t.what != e.What || !slices.Contains(t.from, s.Status):
		case t.when != nil && !t.when(s, e):
			return nil, fmt.Errorf("only when %s", t.whenWords)
		default:
			return t, nil
		}
	}
	return nil, errNoRow
}

// Add takes a new operation in, numbers it, and lets the events happen to it. It returns the operation in the session, which stays where
// it is until the next is added. The errors are those of Operation.Apply; nothing is added then. A session that has ended takes in what
// undoes its changes alone, and a plan what it lists and what the policy denies.
func (s *Session) Add(o Operation, events ...Event) (*Operation, error) {
	takes := slices.Contains(alive, s.Status)
	if o.Kind == RollbackKind {
		takes = slices.Contains(finished, s.Status)
	}
	if !takes || len(events) == 0 {
		return nil, fmt.Errorf("%w: session %s, which is %s, takes in no %s", ErrTransition, s.ID, s.Status, o.Kind)
	}
	if o.N = len(s.Operations) + 1; o.State() != StateNew {
		return nil, fmt.Errorf("%w: operation %d of session %s is not new", ErrTransition, o.N, s.ID)
	}
	for _, e := range events {
		if s.Plan != (e.What == List) && e.What != Deny && o.Kind != RollbackKind {
			return nil, fmt.Errorf("%w: %q of operation %d of session %s: a plan lists what is not denied, and nothing else is listed", ErrTransition, e.What, o.N, s.ID)
		}
		if err := o.Apply(e); err != nil {
			return nil, err
		}
	}
	s.Operations = append(slices.Clip(s.Operations), o)
	return &s.Operations[o.N-1], nil
}

// eventFields are the parts of events, and whether one has them.
var eventFields = []struct {
	name string
	has  func(*Event) bool
}{
	{"At", func(e *Event) bool { return !e.At.IsZero() }},
	{"By", func(e *Event) bool { return e.By.Name != "" && e.By.Fingerprint != "" }},
	{"Reason", func(e *Event) bool { return e.Reason != "" }},
	{"Grant", func(e *Event) bool { return e.Grant != 0 }},
	{"Result", func(e *Event) bool { return e.Result != nil }},
	{"End", func(e *Event) bool { return e.End != nil }},
	{"Deadline", func(e *Event) bool { return !e.Deadline.IsZero() }},
	{"GoesOn", func(e *Event) bool { return e.GoesOn }},
	{"NothingSent", func(e *Event) bool { return e.NothingSent }},
	{"Rest", func(e *Event) bool { return e.Rest != nil }},
}

// carries is nil for an event that has all that it must have, and nothing that it may not have.
func (e *Event) carries(must, may []string) error {
	if e.By != (Identity{}) && !slices.Contains(must, "By") {
		return errors.New("the event says who, which is not recorded")
	}
	for _, f := range eventFields {
		switch has := f.has(e); {
		case !has && slices.Contains(must, f.name):
			return fmt.Errorf("the event does not say %s", f.name)
		case has && !slices.Contains(must, f.name) && !slices.Contains(may, f.name):
			return fmt.Errorf("the event says %s, which is not recorded", f.name)
		}
	}
	return nil
}

// misshapen lists how a session differs from what its status says that it is.
func (s *Session) misshapen() (found []error) {
	shape, known := statusShapes[s.Status]
	if !known {
		return []error{fmt.Errorf("its status is %q", s.Status)}
	}
	for _, f := range sessionFields {
		if err := shape.fits(f.name, f.has(s)); err != nil {
			found = append(found, fmt.Errorf("it is %s, and %w", s.Status, err))
		}
	}
	return found
}

// misshapen lists how an operation differs from what its state says that it is.
func (o *Operation) misshapen() (found []error) {
	state := o.State()
	shape, known := shapes[state]
	if !known {
		return []error{fmt.Errorf("its decision is %q, and it was not started", o.Decision)}
	}
	for _, f := range operationFields {
		if err := shape.fits(f.name, f.has(o)); err != nil {
			found = append(found, fmt.Errorf("it is %s, and %w", state, err))
		}
	}
	switch byPolicy := o.Decision == Allowed || o.Decision == Denied; {
	case byPolicy && (o.By != PolicyName || o.ByKey != ""):
		found = append(found, fmt.Errorf("it is %s by %q, which the policy alone does", o.Decision, o.By))
	case !byPolicy && o.Decision != Unknown && o.By != "" && o.ByKey == "":
		found = append(found, fmt.Errorf("it is %s without an approver's key", o.Decision))
	}
	if o.Started.IsZero() && !o.Finished.IsZero() {
		found = append(found, errors.New("it has a result, and was never started"))
	}
	return found
}

// fits is nil where a field is there, or not, as the shape says.
func (s *shape) fits(field string, has bool) error {
	switch {
	case !has && slices.Contains(s.must, field):
		return fmt.Errorf("%s is not recorded", field)
	case has && slices.Contains(s.never, field):
		return fmt.Errorf("%s is recorded", field)
	}
	return nil
}
