package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// reachPatience is how long `targets` waits for a target.
const reachPatience = 10 * time.Second

// reached is what `targets` says of one target.
type reached struct {
	V       int      `json:"v"`
	Name    string   `json:"target"`
	Where   string   `json:"where,omitempty"`
	OK      bool     `json:"reachable"`
	Problem string   `json:"problem,omitempty"`
	Node    string   `json:"node,omitempty"`
	System  string   `json:"system,omitempty"`
	Release string   `json:"release,omitempty"`
	Machine string   `json:"machine,omitempty"`
	RunAs   string   `json:"run_as,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Wall    string   `json:"wall,omitempty"`
}

// newTargets is `targets [--json]`.
func newTargets() *verb {
	var asJSON bool
	t := &verb{Command: &cobra.Command{
		Use: "targets [--json]", Short: "list your hosts, and whether each can be reached",
		Long: `Lists the hosts that you may use, and why one cannot be reached. Their files: sftp HOST, or scp HOST:/TARGET/etc/hosts . ` +
			`(an upload waits for a human).`,
		Example: `ssh HOST targets
scp HOST:/local/etc/hosts .`,
	}}
	t.Flags().BoolVar(&asJSON, "json", false, "one JSON array on stdout")
	t.run = func(ctx context.Context, v *Verbs, c *invocation) int { return reachable(ctx, v, c, asJSON) }
	return t
}

// reachable lists those that the caller may use, and whether each can be reached now.
func reachable(ctx context.Context, v *Verbs, c *invocation, asJSON bool) int {
	list := []*reached{}
	var asking sync.WaitGroup
	for _, t := range v.Targets {
		if !slices.Contains(c.Targets, t.Name()) {
			continue
		}
		r := &reached{V: jsonVersion, Name: t.Name()}
		for _, g := range slices.Sorted(maps.Keys(v.Config.Groups)) {
			if slices.Contains(v.Config.Groups[g], t.Name()) {
				r.Groups = append(r.Groups, g)
			}
		}
		list = append(list, r)
		asking.Go(func() { r.ask(ctx, c.Identity.Name, t) })
	}
	asking.Wait()
	if asJSON {
		return c.json(list)
	}
	for _, r := range list {
		_, _ = fmt.Fprintln(c.text(), r.line())
	}
	return ExitOK
}

// ask connects and takes down what the target says of itself.
func (r *reached) ask(ctx context.Context, identity string, t targets.Target) {
	t, done := targets.For(t, identity, "")
	defer done()
	if remote, ok := t.(targets.Remote); ok {
		r.Where = remote.Place()
		ctx, cancel := context.WithTimeoutCause(ctx, reachPatience, fmt.Errorf("no answer within %v", reachPatience))
		defer cancel()
		if err := remote.Connect(ctx); err != nil {
			r.Problem = err.Error()
			return
		}
	}
	u := t.Uname()
	r.OK, r.Node, r.System, r.Release, r.Machine, r.RunAs = true, u.Nodename, u.Sysname, u.Release, u.Machine, t.Account().Name
	r.Wall = held(t)
}

// held says what holds commands that nobody was asked about on a target.
func held(t targets.Target) string {
	if w, ok := t.(targets.Walled); ok {
		_, what := w.Wall()
		return what
	}
	if err := t.Jail(); err != nil {
		return err.Error()
	}
	return "the jail"
}

// line is for people: what a target said is rendered.
func (r *reached) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s ", r.Name)
	if r.OK && r.Node == "" { // one for files only, which has no /proc
		fmt.Fprintf(&b, "%s, used as %s", render.Line(r.Where), render.Line(r.RunAs))
	} else if r.OK {
		fmt.Fprintf(&b, "%s %s, commands run as %s", render.Line(r.Node), render.Line(r.System), render.Line(r.RunAs))
	} else {
		fmt.Fprintf(&b, "%s", render.Line(r.Problem))
	}
	if r.Wall != "" {
		fmt.Fprintf(&b, "; unasked commands: %s", render.Line(r.Wall))
	}
	if len(r.Groups) > 0 {
		fmt.Fprintf(&b, " [%s]", strings.Join(r.Groups, " "))
	}
	return b.String()
}
