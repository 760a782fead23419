// Package approvals is the service that front ends call: sessions are begun, shown, followed, decided on, cancelled and rolled back.
// It checks who asks (scope), takes a decision in one transaction, and connects the rooms below it, which know nothing of each
// other: gate, lifecycle, places, grants, rollback, recovery. What it promises: an operation that waits is in the journal before
// anyone is told of it. A decision is consumed before anything starts. What runs is the stored record. Begin with manager.go.
package approvals
