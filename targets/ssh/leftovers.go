package ssh

import (
	"context"
	"errors"
	"sync"
	"time"

	"shannot-gateway/targets"
)

// maxLeftovers bounds what is remembered of one host. What comes after stays there until somebody removes it.
const maxLeftovers = 1024

// sweepPatience is how long a connection may be kept from its first use by what earlier ones have left.
const sweepPatience = 10 * time.Second

// leftover is a path beside which an interrupted change may have left something.
type leftover struct{ id, name string }

// leftovers are those of a host that could not be asked.
type leftovers struct {
	mu   sync.Mutex
	list map[leftover]bool
}

func (l *leftovers) add(one leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil {
		l.list = map[leftover]bool{}
	}
	if len(l.list) < maxLeftovers {
		l.list[one] = true
	}
}

// forget takes back that a change has left something: it is made now, and what lies there is its own.
func (l *leftovers) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.list {
		if one.id == id {
			delete(l.list, one)
		}
	}
}

// each asks sweep about each of them, and keeps those for which it says so. A change of the same ID waits meanwhile.
func (l *leftovers) each(sweep func(leftover) (keep bool)) {
	l.mu.Lock()
	var all []leftover
	for one := range l.list {
		all = append(all, one)
	}
	l.mu.Unlock()
	for _, one := range all {
		l.mu.Lock()
		if l.list[one] && !sweep(one) {
			delete(l.list, one)
		}
		l.mu.Unlock()
	}
}

// sweepLeftovers removes what interrupted changes have left on the target, when it can be asked again.
func (t *Target) sweepLeftovers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	t.leftovers.each(func(one leftover) (keep bool) {
		reached, err := t.sweep(ctx, one)
		switch {
		case err == nil:
			t.log.Info("removed what an interrupted change had left, if anything", "target", t.Name(), "change", one.id, "beside", one.name)
		case reached && ctx.Err() == nil:
			t.log.Error("remove what an interrupted change left", "target", t.Name(), "change", one.id, "beside", one.name, "error", err)
		}
		return err != nil && (!reached || ctx.Err() != nil)
	})
}

// Sweep removes what an interrupted Apply of a change has left beside a path, and puts back what it had taken away. Where the
// target cannot be asked now, that is done when a later Connect has reached it.
func (t *Target) Sweep(ctx context.Context, id, name string) error {
	one := leftover{id, name}
	reached, err := t.sweep(ctx, one)
	if err != nil && (!reached || ctx.Err() != nil) {
		t.leftovers.add(one)
		return errors.Join(err, errLater)
	}
	return err
}

// errLater says that a target is swept at the next connection.
var errLater = errors.New("it is removed at the next connection")

var _ targets.FileTarget = (*Target)(nil)
