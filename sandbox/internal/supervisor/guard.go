//go:build linux && (amd64 || arm64)

package supervisor

import "runtime/debug"

// Guard ends one session where the gateway itself has failed. A panic on a goroutine that works for a script would otherwise
// take the gateway along, and everybody's sessions.
type Guard struct {
	// Log receives what an operator has to know.
	Log func(message string, args ...any)
	// End ends the session with ErrPanic.
	End func(error)
}

// Recover ends the session after a panic. It must be deferred itself, before anything else of its goroutine: "defer
// g.Recover(…)". doing is what the goroutine does.
func (g *Guard) Recover(doing string) {
	if p := recover(); p != nil {
		g.Recovered(doing, p)
	}
}

// Recovered logs a panic that was recovered, and ends the session.
func (g *Guard) Recovered(doing string, value any) {
	g.Log("panic in the sandbox", "while", doing, "panic", value, "stack", string(debug.Stack()))
	g.End(ErrPanic)
}
