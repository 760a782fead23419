package gate

import (
	"bytes"
	"fmt"
	"syscall"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/targets"
)

// replay gives the script what the command gave it the first time.
func (l *Live) replay(o journal.Operation, c Start) (targets.Process, error) {
	if o.OutputCut {
		return nil, &journal.DenialError{Reason: fmt.Sprintf("the recorded output of operation %d was cut, so it cannot be replayed", o.N), By: "the gateway"}
	}
	recorded, err := l.of.config.Outputs.Whole(l.id, o.N, o.Output)
	if err != nil {
		l.of.config.Log.Error("replay an operation", "session", l.id, "operation", o.N, "error", err)
		return nil, &journal.DenialError{Reason: fmt.Sprintf("the recorded output of operation %d is damaged, so it cannot be replayed", o.N), By: "the gateway"}
	}
	l.files.Refresh()
	return replay(recorded, o, c), nil
}

// planned is a command of a plan: it succeeds, says nothing, and did not run.
type planned struct{}

func (planned) Wait() (targets.Exit, error) { return targets.Exit{}, nil }
func (planned) Signal(syscall.Signal) error { return nil }

// replayed gives a recorded result.
type replayed struct {
	exit targets.Exit
	done chan struct{}
}

func (r replayed) Wait() (targets.Exit, error) { <-r.done; return r.exit, nil }
func (replayed) Signal(syscall.Signal) error   { return nil }

// replay gives a command's recorded result and output.
func replay(recorded []byte, o journal.Operation, c Start) replayed {
	r := replayed{done: make(chan struct{})}
	switch {
	case o.Signal != 0:
		r.exit.Signal = syscall.Signal(o.Signal)
	case o.ExitCode != nil:
		r.exit.Code = *o.ExitCode
	}
	go func() {
		defer close(r.done)
		_ = output.Replay(bytes.NewReader(recorded), func(chunk output.Chunk) error {
			to := c.Stdout
			if chunk.Stream == output.Stderr {
				to = c.Stderr
			}
			if to != nil {
				_, err := to.Write(chunk.Data)
				return err
			}
			return nil
		})
	}()
	return r
}
