package journal

import "errors"

// Errors that callers tell apart with errors.Is.
var (
	ErrStore        = errors.New("journal")
	ErrExists       = errors.New("session exists")
	ErrNotFound     = errors.New("no such session")
	ErrNotPermitted = errors.New("not permitted")
	ErrNotWaiting   = errors.New("nothing waits in this session")
	// ErrObstacle is wrapped by what Obstacle says, where something was to be approved.
	ErrObstacle    = errors.New("cannot be approved")
	ErrTooMany     = errors.New("busy")
	ErrOutputLimit = errors.New("output limit reached")
	ErrExpired     = errors.New("expired")
	ErrParked      = errors.New("parked")
	ErrCancelled   = errors.New("cancelled")
	ErrShutdown    = errors.New("the gateway is shutting down")
)
