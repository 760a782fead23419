package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/sandbox"
	"shannot-gateway/targets"
)

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
	s.run = func(ctx context.Context, v *Verbs, c *invocation) int { return (&condition{v, c}).status(ctx, asJSON) }
	return s
}

// condition is how the gateway is, as far as a caller is told of it.
type condition struct {
	verbs *Verbs
	to    *invocation
}

// heading is the version of an answer, and of the gateway.
type heading struct {
	V       int    `json:"v"`
	Version string `json:"version"`
}

// statusJSON is the answer of status as scripts read it.
type statusJSON struct {
	heading
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
}

// status says whether the gateway can do its work now.
func (s *condition) status(ctx context.Context, asJSON bool) int {
	v, exit := s.verbs, ExitOK
	out := statusJSON{
		heading: heading{jsonVersion, v.Version}, Uptime: int64(v.Now().Sub(v.Started) / time.Second), Journal: "ok", Audit: "ok", Jail: s.jail(), Account: s.account(),
		Interpreters: v.Starts(), Connections: s.connected(), Targets: s.links(), configurationJSON: s.configuration(),
	}
	out.Running, out.Held, out.Parked = v.Sessions.Counts(s.to.Identity)
	if err := v.Sessions.Check(ctx); err != nil {
		out.Journal, exit = err.Error(), ExitFault
	}
	switch on, err := v.Audit(); {
	case err != nil:
		out.Audit, exit = "cannot be written, so nothing runs: "+err.Error(), ExitFault
	case !on:
		out.Audit = "off"
	}
	out.Verified, out.Findings = s.verified()
	if !asJSON {
		s.print(&out)
		return exit
	}
	if err := writeJSON(s.to.Stdout, out); err != nil {
		return ExitFault
	}
	return exit
}

// print tells people what status says.
func (s *condition) print(out *statusJSON) {
	w := s.to.text()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	say("shannot-gateway %s, up %s\nsessions: %d running, %d held, %d parked\njournal: %s\naudit log: %s",
		out.Version, age(s.verbs.Now().Sub(s.verbs.Started)), out.Running, out.Held, out.Parked, render.Line(out.Journal), render.Line(out.Audit))
	if out.Verified != "" {
		say("audit log: %s", render.Line(out.Verified))
	}
	for i, finding := range out.Findings {
		if i == maxShownFindings {
			say("audit log: and %d more; shannot-gateway audit verify names them", len(out.Findings)-i)
			break
		}
		say("audit log: FOUND %s", render.Line(finding))
	}
	say("jail: %s", render.Line(out.Jail))
	if out.Account != "" {
		say("account of this host: %s", render.Line(out.Account))
	}
	if n := out.Interpreters; n != nil {
		say("interpreters: %d wait; %d of %d that were needed had waited", n.Waiting, n.Given, n.Given+n.Cold)
	}
	if n := out.Connections; n != nil {
		say("%s", n.line())
	}
	for _, l := range out.Targets {
		say("target %s: %s", l.Name, l.line())
	}
	if conf := out.configurationJSON; conf != nil {
		if r := conf.Refused; r != nil {
			say("configuration: NOT RELOADED at %s, the one before stays in force: %s", r.At, render.Line(r.Reason))
		}
		for _, w := range conf.Warnings {
			say("configuration: %s", render.Line(w))
		}
	}
}

// maxShownFindings is how many findings in the audit log status lists.
const maxShownFindings = 5

// verified is what the last verification of the audit log found. An agent is not told.
func (s *condition) verified() (summary string, findings []string) {
	if s.verbs.Verified == nil || !s.to.Identity.MayDecide() {
		return "", nil
	}
	if summary, findings = s.verbs.Verified(); summary == "" {
		if on, _ := s.verbs.Audit(); on {
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
func (s *condition) configuration() *configurationJSON {
	if !s.to.Identity.MayDecide() {
		return nil
	}
	out := &configurationJSON{Warnings: append([]string{}, s.verbs.Config.Warnings...)}
	if r := s.verbs.Reload(); r != nil {
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
func (s *condition) links() []link {
	out := []link{}
	for _, t := range s.verbs.Targets {
		r, ok := t.(targets.Remote)
		if !ok || !slices.Contains(s.to.Targets, t.Name()) {
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
		return "the last attempt to connect failed: " + render.Line(l.Problem).String()
	case l.Connections == 0:
		return "not connected"
	case l.Connections == 1:
		return fmt.Sprintf("1 connection, %d channels in use", l.Channels)
	}
	return fmt.Sprintf("%d connections, %d channels in use", l.Connections, l.Channels)
}

// jail says whether commands that run without a human have the second wall on this host, "ok" or the reason why not.
func (s *condition) jail() string {
	for _, t := range s.verbs.Targets {
		if t.Name() == config.LocalTarget {
			if err := t.Jail(); err != nil {
				return "none, the policy alone holds unasked commands back: " + err.Error()
			}
		}
	}
	return "ok"
}

// account is the account of this host, "" where it is no target.
func (s *condition) account() string {
	for _, t := range s.verbs.Targets {
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
