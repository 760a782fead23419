//go:build !linux || !(amd64 || arm64)

package rehearsal

import (
	"context"
	"fmt"

	"shannot-gateway/targets"
)

// Changer makes changes of files in the world.
type Changer func(account *targets.Account) (targets.FileTarget, error)

// Init does nothing here.
func Init(Changer) {}

// Run returns targets.ErrNoRehearsal.
func Run(context.Context, targets.Rehearsal, *targets.Account) (*targets.Rehearsed, error) {
	return nil, fmt.Errorf("%w: it needs Linux", targets.ErrNoRehearsal)
}
