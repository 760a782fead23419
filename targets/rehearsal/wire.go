package rehearsal

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"shannot-gateway/targets"
)

// The gateway and the first process of the world send each other these, encoded by encoding/gob, over a socket.
type (
	// order is the first thing that the gateway sends.
	order struct {
		Steps   []step
		Limits  targets.RehearsalLimits
		Account *targets.Account // whom commands run as, nil for the gateway's own user
		Hides   bool             // questions about hidden names are answered
	}
	step struct {
		Change  *targets.Change // without its Content function
		Content []byte
		Command *targets.RehearsedCommand
	}
	// message goes to the gateway: a question about a name, or at the end the report.
	message struct {
		Hidden []string // are these hidden?
		Report *report
	}
	// answer is to a message's question.
	answer struct{ Hidden []bool }
	report struct {
		Rehearsed targets.Rehearsed
		Fault     string // why there is no result
		Reason    string // one of those below
	}
)

// Reasons of a report's fault.
const (
	faultWorld  = "world"  // the kernel does not let the world be made
	faultChange = "change" // a change before a command could not be made
)

// maxContent bounds the contents of the changes before a command, in bytes.
const maxContent = 64 << 20

// orderOf makes what is sent of a rehearsal.
func orderOf(r targets.Rehearsal, account *targets.Account) (*order, error) {
	o := &order{Limits: r.Limits, Account: account, Hides: r.Hidden != nil}
	left := int64(maxContent)
	for _, s := range r.Steps {
		next := step{Command: s.Command}
		if s.Change != nil {
			change := *s.Change
			change.Content = nil
			next.Change = &change
			if s.Change.Content != nil {
				content, err := readAll(s.Change.Content, left)
				if err != nil {
					return nil, fmt.Errorf("read what %s is to hold: %w", s.Change.Path, err)
				}
				next.Content = content
				left -= int64(len(content))
			}
		}
		o.Steps = append(o.Steps, next)
	}
	return o, nil
}

// names are paths that the steps name, real or not.
func (o *order) names() (found []string) {
	for _, s := range o.Steps {
		if s.Change != nil {
			found = append(found, s.Change.Path, s.Change.To)
		}
		if s.Command == nil {
			continue
		}
		found = append(found, s.Command.Dir)
		for _, list := range [][]string{s.Command.Argv, s.Command.Env} {
			for _, word := range list {
				for _, part := range strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune(" \t\n\"'=:;|&<>(){},`$", r) }) {
					if strings.HasPrefix(part, "/") && len(found) < maxNames {
						found = append(found, part)
					}
				}
			}
		}
	}
	return slices.DeleteFunc(found, func(s string) bool { return !strings.HasPrefix(s, "/") })
}

// maxNames bounds the paths that are looked at.
const maxNames = 1000

func readAll(open func() (io.ReadCloser, error), limit int64) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%w: the changes before the command hold more than %d bytes", targets.ErrNoRehearsal, maxContent)
	}
	return content, err
}
