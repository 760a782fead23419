// Package approvals keeps sessions and their operations: what a script wanted to do, what the policy and a human
// said, and what came of it. An operation that waits is in the journal before anyone is told of it, a decision is
// consumed before anything starts, and what runs is the stored record. The package must never run anything that is
// not recorded, and never derive again what a human was shown.
package approvals
