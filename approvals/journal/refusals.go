package journal

import "fmt"

// DenialError is a refusal of the policy or of a human.
type DenialError struct {
	Reason string // one line, rendered
	By     string // who rejected it; "" for the policy
}

// ConflictError is a change of a file that was approved and could not be made. Nothing of it was.
type ConflictError struct {
	N      int    // the operation
	Reason string // one line, rendered
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
	return fmt.Sprintf("operation %d was not made: %s", c.N, c.Reason)
}
