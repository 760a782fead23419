package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// newWhoami is `whoami [--json]`.
func newWhoami() *verb {
	var asJSON bool
	w := &verb{Command: &cobra.Command{
		Use: "whoami [--json]", Short: "print your identity, role and key",
		Long:    "Prints your identity, your role and the key that you came with.",
		Example: "ssh HOST whoami",
	}}
	w.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout, with your targets")
	w.run = func(_ context.Context, _ *Verbs, c *invocation) int { return whoami(c, asJSON) }
	return w
}

// whoami prints the identity of the key that authenticated this connection.
func whoami(c *invocation, asJSON bool) int {
	if asJSON {
		return c.json(whoamiJSON{jsonVersion, c.Identity.Name, string(c.Identity.Role), c.Identity.Fingerprint, append([]string{}, c.Targets...)})
	}
	_, _ = fmt.Fprintf(c.Stdout, "%s (%s) %s\n", c.Identity.Name, c.Identity.Role, c.Identity.Fingerprint)
	return ExitOK
}

// newVersion is `version [--json]`.
func newVersion() *verb {
	var asJSON bool
	w := &verb{Command: &cobra.Command{
		Use: "version [--json]", Short: "print the gateway's version", Long: "Prints the gateway's version.", Example: "ssh HOST version",
	}}
	w.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	w.run = func(_ context.Context, v *Verbs, c *invocation) int {
		if asJSON {
			return c.json(versionJSON{jsonVersion, v.Version})
		}
		_, _ = fmt.Fprintf(c.text(), "shannot-gateway %s\n", v.Version)
		return ExitOK
	}
	return w
}

// newWatch is `watch [--json]`.
func newWatch() *verb {
	var asJSON bool
	w := &verb{Command: &cobra.Command{
		Use: "watch [--json]", Short: "print a line for each event, until you leave",
		Long: "Prints a line for each event of the sessions that you see, until you leave: by Ctrl-C, on a terminal by q, too.",
		Example: `ssh -t HOST watch
ssh HOST watch --json`,
	}}
	w.Flags().BoolVar(&asJSON, "json", false, "one JSON object in each line")
	w.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.watch(ctx, c, asJSON) }
	return w
}

// watch prints a line per event, until the client leaves.
func (v *Verbs) watch(ctx context.Context, c *invocation, asJSON bool) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.Terminal != nil {
		go func() { // Ctrl-C and q leave
			for key := make([]byte, 1); ; {
				n, err := c.Stdin.Read(key)
				if err != nil || n > 0 && (key[0] == interrupt || key[0] == 'q') {
					cancel(errors.New("left"))
					return
				}
			}
		}()
	}
	seq := 0
	for event := range v.Sessions.Subscribe(ctx, c.Identity) {
		if shown, err := v.event(c, event, asJSON, seq+1); err != nil {
			return ExitFault
		} else if shown {
			seq++
		}
	}
	if ctx.Err() == nil {
		c.notice("%v", journal.ErrShutdown)
	}
	return ExitOK
}

// eventJSON is an event as programs read it, with what it is about where that is known.
type eventJSON struct {
	V             int    `json:"v"`
	Seq           int    `json:"seq"` // from 1, in each watch
	At            string `json:"at"`
	Session       string `json:"session,omitempty"`
	Kind          string `json:"kind"`
	By            string `json:"by,omitempty"`
	Summary       string `json:"summary,omitempty"` // in a line, rendered
	Status        string `json:"status,omitempty"`  // of the session, now
	Identity      string `json:"identity,omitempty"`
	Target        string `json:"target,omitempty"`
	WaitingDigest string `json:"waiting_digest,omitempty"`
	// The operation is the last one that waits, or the last one that whoever is named decided.
	Operation *operationJSON `json:"operation,omitempty"`
}

// event prints one event, the seq-th, and what it is about: what waits, or what came of what did. shown is false where it is not for
// the caller any more.
func (v *Verbs) event(c *invocation, e events.Event, asJSON bool, seq int) (shown bool, err error) {
	out := eventJSON{V: jsonVersion, Seq: seq, At: stamp(e.At), Session: e.Session, Kind: e.Kind, By: e.By}
	if e.Session != "" {
		s, err := v.Sessions.Session(c.Identity, e.Session)
		if err != nil {
			return false, nil // it was shown when it happened, and is not any more
		}
		out.Status, out.Identity, out.Target, out.WaitingDigest = string(s.Status), s.Identity, s.Target, s.WaitingDigest()
		switch e.Kind {
		case events.Waiting, events.Decided, events.Parked:
			if op, about := eventAbout(&s, e); op != nil {
				described := describeOperation(&s, op, maxListed)
				out.Operation, out.Summary = &described, about
			}
		}
	}
	if asJSON {
		return true, writeJSON(c.Stdout, out)
	}
	line := fmt.Sprintf("%s %-9s %s %s", out.At, render.Line(e.Session), render.Line(e.Kind), render.Line(e.By))
	if out.Summary != "" {
		line = strings.TrimRight(line, " ") + ": " + out.Summary
	}
	_, err = fmt.Fprintln(c.text(), line)
	return true, err
}

// eventAbout is the last operation that waits, or the last one that was decided by whoever the event names, and what to say
// of it, rendered.
func eventAbout(s *journal.Session, e events.Event) (*journal.Operation, string) {
	for i := len(s.Operations) - 1; i >= 0; i-- {
		op := &s.Operations[i]
		switch {
		case e.Kind != events.Decided && op.Decision == journal.Waiting:
			return op, fmt.Sprintf("operation %d (%s): %s", op.N, op.Risk, render.Stored(op.Summary))
		case e.Kind == events.Decided && e.By != "" && op.By == e.By:
			return op, fmt.Sprintf("operation %d is %s: %s", op.N, op.Decision, render.Stored(op.Summary))
		}
	}
	return nil, ""
}
