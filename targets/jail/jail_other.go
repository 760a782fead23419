//go:build !linux || !(amd64 || arm64)

package jail

import (
	"os/exec"
	"time"
)

// Init does nothing here.
func Init() {}

// Check returns ErrUnsupported.
func Check() error { return ErrUnsupported }

// Detail says nothing here.
func Detail() string { return "" }

// Prepare returns ErrUnsupported.
func Prepare(*exec.Cmd, func(string) bool) (*Started, error) { return nil, ErrUnsupported }

// Started is a jail that is being entered.
type Started struct{}

// Entered returns ErrUnsupported.
func (*Started) Entered() error { return ErrUnsupported }

// Abandon does nothing here.
func (*Started) Abandon() {}

// Ended does nothing here.
func (*Started) Ended() {}

// Sweep finds nothing here.
func Sweep(time.Time) (int, error) { return 0, nil }
