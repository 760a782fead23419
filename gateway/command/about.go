package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/sandbox"
	"shannot-gateway/targets"
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
	w.run = func(_ context.Context, v *Verbs, c *invocation) int { return v.whoami(c, asJSON) }
	return w
}

// whoami prints the identity of the key that authenticated this connection.
func (v *Verbs) whoami(c *invocation, asJSON bool) int {
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

// newStatus is `status [--json]`.
func newStatus() *verb {
	var asJSON bool
	s := &verb{Command: &cobra.Command{
		Use: "status [--json]", Short: "say whether the gateway can do its work",
		Long: `Says how many of the sessions that you see run and wait, and whether the journal can be written. Who decides is told how ` +
			`many clients are connected, too, what was found in the audit log, and why a configuration was not taken up. The exit status ` +
			`is 70 where nothing can run.`,
		Example: "ssh HOST status",
	}}
	s.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	s.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.status(ctx, c, asJSON) }
	return s
}

// status says whether the gateway can do its work now.
func (v *Verbs) status(ctx context.Context, c *invocation, asJSON bool) int {
	running, held, parked := v.Sessions.Counts(c.Identity)
	journal, exit := "ok", ExitOK
	if err := v.Sessions.Check(ctx); err != nil {
		journal, exit = err.Error(), ExitFault
	}
	log := "ok"
	switch on, err := v.Audit(); {
	case err != nil:
		log, exit = "cannot be written, so nothing runs: "+err.Error(), ExitFault
	case !on:
		log = "off"
	}
	verified, findings := v.verified(c)
	if asJSON {
		err := writeJSON(c.Stdout, struct {
			Version string `json:"version"`
			Uptime  int64  `json:"uptime_seconds"`
			Running int    `json:"running"`
			Held    int    `json:"held"`
			Parked  int    `json:"parked"`
			Journal string `json:"journal"`
			Audit   string `json:"audit"`
			// Of the audit log, for those who decide.
			Verified string   `json:"audit_verified,omitempty"`
			Findings []string `json:"audit_findings,omitempty"`
			Jail     string   `json:"jail"`
			// The account of this host that commands run as and files are read as.
			Account string `json:"account,omitempty"`
			// Interpreters of the native engine.
			Interpreters *sandbox.Starts `json:"interpreters,omitempty"`
			// Clients, for those who decide.
			Connections *Connections `json:"connections,omitempty"`
			Targets     []link       `json:"targets"`
			*configurationJSON
		}{v.Version, int64(v.Now().Sub(v.Started) / time.Second), running, held, parked, journal, log, verified, findings, v.jail(), v.account(), v.Starts(), v.connected(c), v.links(c), v.configuration(c)})
		if err != nil {
			return ExitFault
		}
		return exit
	}
	_, _ = fmt.Fprintf(c.text(), "shannot-gateway %s, up %s\nsessions: %d running, %d held, %d parked\njournal: %s\naudit log: %s\n",
		v.Version, age(v.Now().Sub(v.Started)), running, held, parked, render.Line(journal), render.Line(log))
	if verified != "" {
		_, _ = fmt.Fprintf(c.text(), "audit log: %s\n", render.Line(verified))
	}
	for i, finding := range findings {
		if i == maxShownFindings {
			_, _ = fmt.Fprintf(c.text(), "audit log: and %d more; shannot-gateway audit verify names them\n", len(findings)-i)
			break
		}
		_, _ = fmt.Fprintf(c.text(), "audit log: FOUND %s\n", render.Line(finding))
	}
	_, _ = fmt.Fprintf(c.text(), "jail: %s\n", render.Line(v.jail()))
	if account := v.account(); account != "" {
		_, _ = fmt.Fprintf(c.text(), "account of this host: %s\n", render.Line(account))
	}
	if n := v.Starts(); n != nil {
		_, _ = fmt.Fprintf(c.text(), "interpreters: %d wait; %d of %d that were needed had waited\n", n.Waiting, n.Given, n.Given+n.Cold)
	}
	if n := v.connected(c); n != nil {
		_, _ = fmt.Fprintln(c.text(), n.line())
	}
	for _, l := range v.links(c) {
		_, _ = fmt.Fprintf(c.text(), "target %s: %s\n", l.Name, l.line())
	}
	if conf := v.configuration(c); conf != nil {
		if r := conf.Refused; r != nil {
			_, _ = fmt.Fprintf(c.text(), "configuration: NOT RELOADED at %s, the one before stays in force: %s\n", r.At, render.Line(r.Reason))
		}
		for _, w := range conf.Warnings {
			_, _ = fmt.Fprintf(c.text(), "configuration: %s\n", render.Line(w))
		}
	}
	return exit
}

// maxShownFindings is how many findings in the audit log status lists.
const maxShownFindings = 5

// verified is what the last verification of the audit log found. An agent is not told.
func (v *Verbs) verified(c *invocation) (summary string, findings []string) {
	if v.Verified == nil || !c.Identity.MayDecide() {
		return "", nil
	}
	if summary, findings = v.Verified(); summary == "" {
		if on, _ := v.Audit(); on {
			summary = "not verified yet since the start"
		}
	}
	return summary, findings
}

// configurationJSON is what is to be said of the configuration, to who decides: it names files and identities.
type configurationJSON struct {
	Refused  *refusalJSON `json:"reload_refused"` // null where what is in force is what was last to be
	Warnings []string     `json:"warnings"`
}

type refusalJSON struct {
	At     string `json:"at"`
	Reason string `json:"reason"`
}

// configuration is nil for who does not decide.
func (v *Verbs) configuration(c *invocation) *configurationJSON {
	if !c.Identity.MayDecide() {
		return nil
	}
	out := &configurationJSON{Warnings: append([]string{}, v.Config.Warnings...)}
	if r := v.Reload(); r != nil {
		out.Refused = &refusalJSON{r.At.UTC().Format(time.RFC3339), r.Why}
	}
	return out
}

// link is what the gateway has of a remote target now.
type link struct {
	Name        string `json:"target"`
	Connections int    `json:"connections"`
	Channels    int    `json:"channels"`
	Problem     string `json:"problem,omitempty"`
}

// links are those of the remote targets that the caller may use. None is connected to for it.
func (v *Verbs) links(c *invocation) []link {
	out := []link{}
	for _, t := range v.Targets {
		r, ok := t.(targets.Remote)
		if !ok || !slices.Contains(c.Targets, t.Name()) {
			continue
		}
		now := r.Connections()
		l := link{Name: t.Name(), Connections: now.Open, Channels: now.Channels}
		if now.Problem != nil {
			l.Problem = now.Problem.Error()
		}
		out = append(out, l)
	}
	return out
}

// line is for people: what a target said is rendered.
func (l link) line() string {
	switch {
	case l.Problem != "":
		return "the last attempt to connect failed: " + string(render.Line(l.Problem))
	case l.Connections == 0:
		return "not connected"
	case l.Connections == 1:
		return fmt.Sprintf("1 connection, %d channels in use", l.Channels)
	}
	return fmt.Sprintf("%d connections, %d channels in use", l.Connections, l.Channels)
}

// jail says whether commands that run without a human have the second wall on this host, "ok" or the reason why not.
func (v *Verbs) jail() string {
	for _, t := range v.Targets {
		if t.Name() == config.LocalTarget {
			if err := t.Jail(); err != nil {
				return "none, the policy alone holds unasked commands back: " + err.Error()
			}
		}
	}
	return "ok"
}

// account is the account of this host, "" where it is no target.
func (v *Verbs) account() string {
	for _, t := range v.Targets {
		if t.Name() == config.LocalTarget {
			a := t.Account()
			if a.UID == 0 {
				return a.Name + ", with all rights of root: scripts read every file, approved commands change every one"
			}
			return a.Name
		}
	}
	return ""
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
	return &verb{words: commandLast, run: policyOf, Command: &cobra.Command{
		Use: "policy -- COMMAND…", Short: "say what the policy decides on a command; nothing runs",
		Long:    "Says what the policy would decide on a shell command, and which grants would let it run. Nothing runs.",
		Example: "ssh HOST policy -- systemctl restart nginx",
	}}
}

// policyOf says what the policy would say of a command line. Nothing runs.
func policyOf(ctx context.Context, v *Verbs, c *invocation) int {
	text := c.command
	d, err := v.Sessions.JudgeShell(ctx, c.Identity, text, policy.Context{})
	if err != nil { // the client has left
		return ExitFault
	}
	_, _ = fmt.Fprintf(c.text(), "%s (%s): %s\n", d.Verdict, d.Risk, render.Stored(d.Reason))
	if d.Verdict == policy.Ask {
		v.grantsFor(c, text)
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
		c.notice("%v", approvals.ErrShutdown)
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
func (v *Verbs) event(c *invocation, e approvals.Event, asJSON bool) error {
	out := eventJSON{V: jsonVersion, At: stamp(e.At), Session: e.Session, Kind: e.Kind, By: e.By}
	if e.Session != "" {
		s, err := v.Sessions.Session(c.Identity, e.Session)
		if err != nil {
			return nil // it was shown when it happened, and is not any more
		}
		out.Status, out.Identity, out.Target, out.WaitingDigest = string(s.Status), s.Identity, s.Target, s.WaitingDigest()
		switch e.Kind {
		case approvals.EventWaiting, approvals.EventDecided, approvals.EventParked:
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
func eventAbout(s *approvals.Session, e approvals.Event) (*approvals.Operation, string) {
	for i := len(s.Operations) - 1; i >= 0; i-- {
		op := &s.Operations[i]
		switch {
		case e.Kind != approvals.EventDecided && op.Decision == approvals.Waiting:
			return op, fmt.Sprintf("operation %d (%s): %s", op.N, op.Risk, render.Stored(op.Summary))
		case e.Kind == approvals.EventDecided && e.By != "" && op.By == e.By:
			return op, fmt.Sprintf("operation %d is %s: %s", op.N, op.Decision, render.Stored(op.Summary))
		}
	}
	return nil, ""
}
