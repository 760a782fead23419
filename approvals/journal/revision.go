package journal

// Revision is what one transaction does to a session. Neither side may be changed.
type Revision struct {
	Before *Session // nil for a new one
	After  *Session
}

// Operations calls fn with each operation that differs; before is nil for a new one.
func (r Revision) Operations(fn func(before, after *Operation)) {
	had := 0
	if r.Before != nil {
		had = len(r.Before.Operations)
	}
	for i := range r.After.Operations {
		o := &r.After.Operations[i]
		switch {
		case i >= had:
			fn(nil, o)
		case *o != r.Before.Operations[i]:
			// Operations are compared as they are: what their pointers point at is never changed, only replaced.
			fn(&r.Before.Operations[i], o)
		}
	}
}

// Starts reports whether the change lets something happen that could not happen before: a session begins or goes on,
// an operation is taken in, decided to be done, or started. What only records an end, a refusal or a result does not.
func (r Revision) Starts() bool {
	if r.Before == nil || r.Before.Status == StatusParked && !r.After.Status.Final() && r.After.Status != StatusParked {
		return true
	}
	starts := false
	r.Operations(func(before, after *Operation) {
		may := after.Decision == Approved || after.Decision == Allowed
		if before == nil || may && before.Decision != after.Decision || before.Started.IsZero() && !after.Started.IsZero() {
			starts = true
		}
	})
	return starts
}

// Anchor is a line of the audit log: its number, and its SHA-256 in hex. The journal keeps that of the last line, so that a
// log that is taken away, cut off or put back from an older copy is missed.
type Anchor struct {
	Seq  uint64
	Hash string
}

// Read is what the change says of files that the script has opened, nil for nothing new.
func (r Revision) Read() *Reads {
	var before *Reads
	if r.Before != nil {
		before = r.Before.Reads
	}
	if r.After.Reads.Same(before) {
		return nil
	}
	return r.After.Reads
}

// Auditor is told of changes before they are made.
type Auditor interface {
	// Record writes that the changes are made. They may be made once it returns nil; after an error, which wraps
	// ErrStore, nothing of them was written.
	Record(changes []Revision) error
	// Defer is Record for changes that are made in any case: it is written when that is possible again.
	Defer(changes []Revision)
}
