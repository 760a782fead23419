package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
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
		err := writeJSON(c.Stdout, struct {
			Identity string   `json:"identity"`
			Role     string   `json:"role"`
			Key      string   `json:"key"`
			Targets  []string `json:"targets"`
		}{c.Identity.Name, string(c.Identity.Role), c.Identity.Fingerprint, c.Targets})
		if err != nil {
			return ExitFault
		}
		return ExitOK
	}
	_, _ = fmt.Fprintf(c.Stdout, "%s (%s) %s\n", c.Identity.Name, c.Identity.Role, c.Identity.Fingerprint)
	return ExitOK
}

// newVersion is `version`.
func newVersion() *verb {
	return &verb{Command: &cobra.Command{
		Use: "version", Short: "print the gateway's version", Long: "Prints the gateway's version.", Example: "ssh HOST version",
	}, run: func(_ context.Context, v *Verbs, c *invocation) int {
		_, _ = fmt.Fprintf(c.text(), "shannot-gateway %s\n", v.Version)
		return ExitOK
	}}
}

// newPolicy is `policy -- CMD…`.
func newPolicy() *verb {
	target := config.LocalTarget
	p := &verb{words: commandLast, Command: &cobra.Command{
		Use: "policy [--target NAME] -- COMMAND...", Short: "say what the policy decides on a command; nothing runs",
		Long: "Says what the policy would decide on a shell command on a target, with the files that the target hides, and which grants " +
			"would let it run there. Nothing runs.",
		Example: `ssh HOST policy -- systemctl restart nginx
ssh HOST policy --target web -- cat /srv/app.env`,
	}}
	p.Flags().StringVar(&target, "target", target, "the host that it would run on: a `NAME`")
	p.run = func(ctx context.Context, v *Verbs, c *invocation) int { return policyOf(ctx, v, c, target) }
	return p
}

// policyOf says what the policy would say of a command line. Nothing runs.
func policyOf(ctx context.Context, v *Verbs, c *invocation, target string) int {
	text := c.command
	if _, known := v.Config.Remotes[target]; target != config.LocalTarget && (!known || c.Identity.Role != journal.Approver) {
		if status := v.mayUse(c, target); status != ExitOK {
			return status
		}
	}
	d, err := v.Sessions.JudgeShell(ctx, c.Identity, text, policy.Context{Target: target})
	if err != nil { // the client has left
		return ExitFault
	}
	_, _ = fmt.Fprintf(c.text(), "%s (%s): %s\n", d.Verdict, d.Risk, render.Stored(d.Reason))
	if d.Effect != "" {
		_, _ = fmt.Fprintf(c.text(), "effect: %s\nundo: %s\n", render.Stored(d.Effect), render.Stored(d.Undo))
	}
	if d.Verdict == policy.Ask {
		grantsFor(v, c, target, text)
	}
	return ExitOK
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
	for event := range v.Sessions.Subscribe(ctx, c.Identity) {
		if err := v.event(c, event, asJSON); err != nil {
			return ExitFault
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

// event prints one event and what it is about: what waits, or what came of what did.
func (v *Verbs) event(c *invocation, e events.Event, asJSON bool) error {
	out := eventJSON{V: jsonVersion, At: stamp(e.At), Session: e.Session, Kind: e.Kind, By: e.By}
	if e.Session != "" {
		s, err := v.Sessions.Session(c.Identity, e.Session)
		if err != nil {
			return nil // it was shown when it happened, and is not any more
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
		return writeJSON(c.Stdout, out)
	}
	line := fmt.Sprintf("%s %-9s %s %s", out.At, render.Line(e.Session), render.Line(e.Kind), render.Line(e.By))
	if out.Summary != "" {
		line = strings.TrimRight(line, " ") + ": " + out.Summary
	}
	_, err := fmt.Fprintln(c.text(), line)
	return err
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
