package change

import (
	"context"
	"fmt"
	"slices"

	"shannot-gateway/targets"
)

// RemovePlaced removes files that a session has put on a target, the last first, and says what stays. id names its temporary files.
func RemovePlaced(ctx context.Context, files targets.FileTarget, id string, names []string) (left []error) {
	for _, name := range slices.Backward(names) {
		now, err := files.State(ctx, name)
		if err == nil && now != nil {
			c := targets.Change{ID: id, Op: targets.Delete, Path: name, Was: now}
			if now.IsDir() {
				c.Op = targets.Rmdir
			}
			err = files.Apply(ctx, c)
		}
		if err != nil {
			left = append(left, fmt.Errorf("remove %q: %w", name, err))
		}
	}
	return left
}
