package journal

// Change is what one transaction does to a session. Neither side may be changed.
type Change struct {
	Before *Session // nil for a new one
	After  *Session
}

// Operations calls fn with each operation that differs; before is nil for a new one.
func (c Change) Operations(fn func(before, after *Operation)) {
	had := 0
	if c.Before != nil {
		had = len(c.Before.Operations)
	}
	for i := range c.After.Operations {
		o := &c.After.Operations[i]
		switch {
		case i >= had:
			fn(nil, o)
		case *o != c.Before.Operations[i]:
			// Operations are compared as they are: what their pointers point at is never changed, only replaced.
			fn(&c.Before.Operations[i], o)
		}
	}
}

// Starts reports whether the change lets something happen that could not happen before: a session begins or goes on,
// an operation is taken in, decided to be done, or started. What only records an end, a refusal or a result does not.
func (c Change) Starts() bool {
	if c.Before == nil || c.Before.Status == StatusParked && !c.After.Status.Final() && c.After.Status != StatusParked {
		return true
	}
	starts := false
	c.Operations(func(before, after *Operation) {
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
func (c Change) Read() *Reads {
	var before *Reads
	if c.Before != nil {
		before = c.Before.Reads
	}
	if c.After.Reads.Same(before) {
		return nil
	}
	return c.After.Reads
}

// Auditor is told of changes before they are made.
type Auditor interface {
	// Record writes that the changes are made. They may be made once it returns nil; after an error, which wraps
	// ErrStore, nothing of them was written.
	Record(changes []Change) error
	// Defer is Record for changes that are made in any case: it is written when that is possible again.
	Defer(changes []Change)
}
