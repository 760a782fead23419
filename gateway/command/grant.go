package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/internal/commandline"
)

// grantFlags are the flags of approve that make a standing answer of it.
type grantFlags struct {
	kind  string
	vary  wordsFlag
	until string
}

// wordsFlag collects --vary 1 --vary 2,3: places of words as show numbers them.
type wordsFlag []int

// Set implements pflag.Value.
func (w *wordsFlag) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 || len(*w) >= maxOps {
			return fmt.Errorf("%q is not a word's number; show prints them as argv[N]", part)
		}
		*w = append(*w, n)
	}
	return nil
}

// String implements pflag.Value.
func (w *wordsFlag) String() string { return numbers(*w) }

// Type implements pflag.Value.
func (*wordsFlag) Type() string { return "N" }

// spec is what the flags ask for; ok is false where they ask for nothing.
func (g *grantFlags) spec() (s grants.Spec, ok bool, err error) {
	if g.kind == "" {
		if len(g.vary) > 0 || g.until != "" {
			return s, false, errors.New("--vary and --until go with --grant exact or --grant shape")
		}
		return s, false, nil
	}
	s.Kind, s.Vary = grants.Kind(g.kind), g.vary
	if s.Kind != grants.Exact && s.Kind != grants.Shape {
		return s, false, errors.New("--grant is exact or shape")
	}
	if g.until != "" {
		if s.For, err = config.ParseDuration(g.until); err != nil || s.For <= 0 {
			return s, false, errors.New("--until is a time from now, such as 30m or 8h")
		}
	}
	return s, true, nil
}

// only is the one operation that a grant can be made of.
func only(s journal.Session, ops []int) (int, error) {
	if len(ops) == 0 {
		for _, op := range s.Operations {
			if op.Decision == journal.Waiting {
				ops = append(ops, op.N)
			}
		}
	}
	if len(ops) != 1 {
		return 0, errors.New("a grant is for one operation: name it with --op")
	}
	return ops[0], nil
}

// approveGranting is `approve ID --digest HEX --grant…`.
func (v *Verbs) approveGranting(ctx context.Context, c *invocation, before journal.Session, a decision.Approval, spec grants.Spec) int {
	if err := a.Fits(&before); err != nil { // before it is said which of what waits by now could be granted
		return v.notApproved(c, before.ID, a, err)
	}
	n, err := only(before, a.Ops)
	if err != nil {
		return c.usage(err)
	}
	s, g, err := v.Sessions.ApproveGranting(ctx, before.ID, c.Identity, n, a, spec)
	if err == nil || errors.Is(err, grants.ErrNotGranted) {
		c.report(before, s)
	}
	if err != nil {
		return v.notApproved(c, before.ID, a, err)
	}
	c.notice("grant %d: %s", g.N, g.String())
	return ExitOK
}

// newGrants is `grants [--all] [--json]`.
func newGrants() *verb {
	var all, asJSON bool
	g := &verb{Command: &cobra.Command{
		Use: "grants [--all] [--json]", Short: "list the commands that may run again without asking",
		Long: `Lists the grants in force: the commands that run again without being asked about. An agent sees its own, an approver those ` +
			`on their targets. A void one lets nothing run: whoever made it may not decide there any more, or its agent is gone.`,
		Example: `ssh HOST grants
ssh HOST grants --all`,
	}}
	g.Flags().BoolVar(&all, "all", false, "those that are over, too")
	g.Flags().BoolVar(&asJSON, "json", false, "one JSON array on stdout")
	g.run = func(_ context.Context, v *Verbs, c *invocation) int { return v.grants(c, all, asJSON) }
	return g
}

// grants lists the grants that the caller may see.
func (v *Verbs) grants(c *invocation, all, asJSON bool) int {
	list := v.Sessions.Grants(c.Identity, all)
	if asJSON {
		out := make([]grantJSON, 0, len(list))
		for _, g := range list {
			out = append(out, describeGrant(g, v.Now(), v.Sessions.Void(&g)))
		}
		if err := writeJSON(c.Stdout, out); err != nil {
			return ExitFault
		}
		return ExitOK
	}
	if len(list) == 0 {
		c.notice("no grant is in force%s", map[bool]string{false: "; grants --all shows those that are over", true: " or remembered"}[all])
		return ExitOK
	}
	for _, g := range list {
		state, void := "", v.Sessions.Void(&g)
		switch {
		case !g.Revoked.IsZero():
			state = fmt.Sprintf(" [revoked by %s]", render.Line(g.RevokedBy))
		case !g.Active(v.Now()):
			state = " [over]"
		case void != "":
			state = fmt.Sprintf(" [void: %s]", render.Line(void))
		}
		_, _ = fmt.Fprintf(c.text(), "grant %d by %s%s: %s\n", g.N, render.Line(g.By), state, g.String())
	}
	return ExitOK
}

// grantJSON is a grant as scripts read it.
type grantJSON struct {
	V         int      `json:"v"`
	Grant     int      `json:"grant"`
	Kind      string   `json:"kind"`
	Active    bool     `json:"active"`
	Void      string   `json:"void,omitempty"`    // why it lets nothing run, though it is neither over nor revoked
	Session   string   `json:"session,omitempty"` // the only one that it is for
	Identity  string   `json:"identity"`
	Target    string   `json:"target"`
	RunAs     string   `json:"run_as"`
	Until     string   `json:"until,omitempty"`
	Shape     string   `json:"shape"`
	Path      string   `json:"path"`
	Dir       string   `json:"dir"`
	Env       []string `json:"env,omitempty"`
	Digest    string   `json:"digest"`
	By        string   `json:"by"`
	Created   string   `json:"created"`
	Revoked   string   `json:"revoked,omitempty"`
	RevokedBy string   `json:"revoked_by,omitempty"`
}

func describeGrant(g grants.Grant, now time.Time, void string) grantJSON {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return grantJSON{
		V: jsonVersion, Grant: g.N, Kind: string(g.Kind), Active: g.Active(now) && void == "", Void: void, Session: g.Session, Identity: g.Identity, Target: g.Target, RunAs: g.RunAs,
		Until: at(g.Until), Shape: g.Shape(), Path: render.Line(g.Path).String(), Dir: render.Line(g.Dir).String(), Env: renderAll(g.EnvChanges),
		Digest: g.Digest, By: g.By, Created: at(g.Created), Revoked: at(g.Revoked), RevokedBy: g.RevokedBy,
	}
}

func renderAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, render.Line(s).String())
	}
	return out
}

// newRevoke is `revoke N…`.
func newRevoke() *verb {
	return &verb{words: anyWords, run: revoke, Command: &cobra.Command{
		Use: "revoke N...", Short: "take grants back, by their numbers",
		Long:    "Takes grants back, by the numbers that grants lists. No command starts by them any more.",
		Example: "ssh HOST revoke 3 4",
	}}
}

// revoke takes grants back.
func revoke(ctx context.Context, v *Verbs, c *invocation) int {
	var numbers []int
	for _, w := range c.words {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 {
			return c.usage(fmt.Errorf("%q is not a grant's number; see: grants", commandline.Shortened(w)))
		}
		numbers = append(numbers, n)
	}
	if len(numbers) == 0 {
		return c.usage(errors.New("the grant's number is missing; see: grants"))
	}
	status := ExitOK
	for _, n := range slices.Compact(numbers) {
		g, err := v.Sessions.Revoke(ctx, n, c.Identity)
		switch {
		case errors.Is(err, grants.ErrNoGrant):
			c.notice("%s; see: grants", render.Line(err.Error()))
			status = ExitUsage
		case err != nil:
			return c.fail("", err)
		default:
			c.notice("revoked grant %d: %s", g.N, g.String())
		}
	}
	return status
}

// grantsFor are the grants that would let a command line run for the caller.
func grantsFor(v *Verbs, c *invocation, target, text string, risk policy.Risk) []grants.Grant {
	return slices.DeleteFunc(slices.Clone(v.Sessions.Grants(c.Identity, false)), func(g grants.Grant) bool {
		return g.Target != target || v.Sessions.Void(&g) != "" || !g.CoversLine(text, risk)
	})
}
