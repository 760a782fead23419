//go:build linux && (amd64 || arm64)

package native

import (
	"runtime/debug"
	"shannot-gateway/sandbox/internal/supervisor"
)

// guard ends the session after a panic, and nothing else. It is deferred first on every goroutine that works for a script,
// which would otherwise take the gateway and everybody's sessions along.
func (r *run) guard(doing string) {
	if p := recover(); p != nil {
		r.panicked(doing, p)
	}
}

// panicked logs a panic that was recovered and ends the session.
func (r *run) panicked(doing string, p any) {
	r.log("panic in the sandbox", "while", doing, "panic", p, "stack", string(debug.Stack()))
	r.tree.root.cancel(supervisor.ErrPanic)
}
