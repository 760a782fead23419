//go:build linux && (amd64 || arm64)

package supervisor

// State is what a Process knows of a process.
type State struct {
	PID, PIDFD     int // 0 for none
	Loaded, Exited bool
	Firm           bool
	// Valid stands in for the kernel, which says whether a thread still waits for its answer.
	Valid func(id uint64) bool
}

// Attach makes a Process of one that was started otherwise and has no filter. It is for tests of those who answer calls.
func Attach(s State) *Process {
	p := New(func(string, ...any) {})
	p.PID, p.firm, p.valid, p.execed = s.PID, s.Firm, s.Valid, true
	if s.PIDFD > 0 {
		p.pidfd = s.PIDFD
	}
	p.loaded.Store(s.Loaded)
	p.exited.Store(s.Exited)
	return p
}
