package journal

import "fmt"

// DenialError is a refusal of the policy or of a human.
type DenialError struct {
	Reason string // one line, rendered
	By     string // who rejected it; "" for the policy
}

// ConflictError is a change of a file that was approved and could not be made. Nothing of it was, unless Unknown.
type ConflictError struct {
	N       int    // the operation
	Reason  string // one line, rendered
	Unknown bool   // nobody knows whether it was made: the reason says so
}

// Error says who refused and why.
func (d *DenialError) Error() string {
	if d.By == "" {
		return "denied by policy: " + d.Reason
	}
	return "rejected by " + d.By + ": " + d.Reason
}

// Error says which operation and why.
func (c *ConflictError) Error() string {
	if c.Unknown {
		return fmt.Sprintf("operation %d: %s", c.N, c.Reason)
	}
	return fmt.Sprintf("operation %d was not made: %s", c.N, c.Reason)
}
