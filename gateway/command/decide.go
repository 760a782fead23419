package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/internal/commandline"
)

// maxOps is how many operations one decision may name.
const maxOps = 10000

// opsFlag collects --op 1 --op 2,3; a number that stands alone after it counts too.
type opsFlag []int

// Set implements pflag.Value.
func (o *opsFlag) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not an operation's number", commandline.Shortened(part))
		}
		if len(*o) >= maxOps {
			return errors.New("too many operations")
		}
		if !slices.Contains(*o, n) {
			*o = append(*o, n)
		}
	}
	return nil
}

// String implements pflag.Value.
func (o *opsFlag) String() string { return numbers(*o) }

// Type implements pflag.Value.
func (*opsFlag) Type() string { return "N" }

// numbers are a list as it would be typed.
func numbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// decision is what a line decides on: an id, operations, where some are named, and the words that are left. Numbers right after
// the id belong to --op.
func (c *invocation) decision(named opsFlag) (id string, ops opsFlag, rest []string, err error) {
	if len(c.words) == 0 {
		return "", nil, nil, errors.New("the session's id is missing")
	}
	if id, err = cleanID(c.words[0]); err != nil {
		return "", nil, nil, err
	}
	ops, rest = named, c.words[1:]
	for len(ops) > 0 && len(rest) > 0 {
		if _, err := strconv.Atoi(rest[0]); err != nil {
			break
		}
		if err := ops.Set(rest[0]); err != nil {
			return "", nil, nil, err
		}
		rest = rest[1:]
	}
	return id, ops, rest, nil
}

// approveFlags are the flags of approve: those of the screen, and those that decide.
type approveFlags struct {
	screen screenFlags
	digest string
	ops    opsFlag
	rest   bool
	danger namesFlag
	grant  grantFlags
}

// Names of the flags of approve that decide, and of those that the screen has.
var (
	decidingFlags = []string{"digest", "op", "rest", "danger", "grant", "vary", "until"}
	screenOnly    = []string{"plain", "alert", "undo", "colors", "background"}
)

// newApprove is the screen, `approve [flags] [ID]` at a terminal, or `approve ID --digest HEX [--op N…]`, which decides.
func newApprove() *verb {
	var flags approveFlags
	a := &verb{words: anyWords, Command: &cobra.Command{
		Use:   "approve [flags] [ID]",
		Short: "open the approval screen; with a digest: approve",
		Long: `With a terminal: the approval screen, opened on the session ID if one is given.

With a digest, on any terminal or none: approves what waits in the session or group ID, as show printed it. The last line of show ` +
			`is the one to paste. Where something else waits by now, nothing is decided, the exit status is 73, and what waits is ` +
			`printed instead. It is 69 where a parked session could not start now: then it waits as before.

With --rest, all that a shell text would ask about from now on is approved too: see the whole text first. What the policy denies ` +
			`stays denied; what is dangerous still waits unless --danger names the target.

A grant lets the same command run again without asking: for this identity on this target as long as --until says, or else for ` +
			`the session alone.`,
		Example: `ssh -t HOST approve
ssh HOST approve ID --digest HEX
ssh HOST approve ID --digest HEX --op 2 --grant exact --until 8h`,
	}}
	f := a.Flags()
	flags.screen.register(f)
	f.StringVar(&flags.digest, "digest", "", "of all that waits: `HEX` is 12 digits of it at least (see show)")
	f.Var(&flags.ops, "op", "only these operations of what show printed: `N`, or N,N")
	f.BoolVar(&flags.rest, "rest", false, "of a shell text: what waits and all that the text would ask about after it, with the digest that show prints for this")
	f.Var(&flags.danger, "danger", "needed where something is dangerous: the target's `NAME`")
	f.StringVar(&flags.grant.kind, "grant", "", "of what `KIND` the grant is: exact lets the same command run again, byte for byte, shape the same with another number or name as its word --vary")
	f.Var(&flags.grant.vary, "vary", "the word of the command that may be another one: `N` as in argv[N] of show; a path stays within its directory")
	f.StringVar(&flags.grant.until, "until", "", "how long the grant holds: a `DURATION` such as 8h")
	a.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.approve(ctx, c, &flags) }
	return a
}

// approve opens the screen, or decides where the line names what to decide on, or names a session and there is no terminal to
// show it on.
func (v *Verbs) approve(ctx context.Context, c *invocation, flags *approveFlags) int {
	set := c.verb.Flags().Changed
	decides := slices.ContainsFunc(decidingFlags, set)
	if !decides && (len(c.words) == 0 || c.Terminal != nil || flags.screen.plain) {
		o, err := flags.screen.options(c.words)
		if err != nil {
			return c.usage(err)
		}
		return v.screen(ctx, c, o)
	}
	if at := slices.IndexFunc(screenOnly, set); at >= 0 {
		return c.usage(fmt.Errorf("--%s is for the approval screen, which a line that decides does not open", screenOnly[at]))
	}
	a := decision.Approval{Waiting: flags.digest, Danger: flags.danger, Rest: flags.rest}
	id, ops, rest, err := c.decision(flags.ops)
	if err == nil && len(rest) > 0 {
		err = commandline.Unexpected(rest[0])
	}
	if err != nil {
		return c.usage(err)
	}
	spec, granting, err := flags.grant.spec()
	if err != nil {
		return c.usage(err)
	}
	if flags.rest && granting {
		return c.usage(errors.New("--rest and --grant do not go together: each says what runs without asking"))
	}
	a.Ops = ops
	if a.Waiting != "" {
		if err := a.Well(); err != nil {
			return c.usage(err)
		}
	}
	members, err := v.members(c, id)
	switch {
	case err != nil:
		return c.fail(id, err)
	case members != nil && (len(ops) > 0 || granting || flags.rest):
		return c.usage(errors.New("of a group everything that waits is approved; for a part of it, or a text's rest, name a session"))
	case members != nil:
		return v.approveGroup(ctx, c, id, members, a)
	}
	before, err := v.Sessions.Session(c.Identity, id)
	if err != nil {
		return c.fail(id, err)
	}
	if granting {
		return v.approveGranting(ctx, c, before, a, spec)
	}
	s, err := v.Sessions.Approve(ctx, id, c.Identity, a)
	if err != nil {
		return v.notApproved(c, id, a, err)
	}
	c.report(before, s)
	return ExitOK
}

// notApproved says why an approval did not count, and for one that does not name what waits, what does and how to name it.
func (v *Verbs) notApproved(c *invocation, id string, a decision.Approval, err error) int {
	status := ExitUsage
	switch {
	case errors.Is(err, decision.ErrDigest):
		status = ExitConflict
		c.notice("nothing was decided: %s", render.Line(err.Error()))
	case errors.Is(err, decision.ErrDanger):
		c.notice("nothing was decided: %s", render.Line(err.Error()))
	case errors.Is(err, decision.ErrUnnamed):
		c.notice("nothing was decided: %s", render.Line(err.Error()))
	default:
		return c.fail(id, err)
	}
	members, err := v.members(c, id)
	if err == nil && members == nil {
		var s journal.Session
		s, err = v.Sessions.Session(c.Identity, id)
		members = []journal.Session{s}
	}
	if err != nil {
		return c.fail(id, err)
	}
	if line := pasted(id, members); line == "" {
		c.notice("nothing waits there now; see: show %s", render.Line(id))
		return status
	}
	sendPage(v, c, func(p *page) {
		for i := range members {
			p.waiting(&members[i])
		}
		p.pasteWaiting(id, members) // the text is not shown here, so that nothing is offered of its rest
	})
	return status
}

// namesFlag collects names: --danger one --danger two,three.
type namesFlag []string

// Set implements pflag.Value.
func (n *namesFlag) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		if len(*n) >= maxFleet {
			return errors.New("too many names")
		}
		*n = append(*n, name)
	}
	return nil
}

// String implements pflag.Value.
func (n *namesFlag) String() string { return strings.Join(*n, ",") }

// Type implements pflag.Value.
func (*namesFlag) Type() string { return "NAME" }

// newReject is `reject ID [--op N…] --reason TEXT`.
func newReject() *verb {
	var reason string
	var ops opsFlag
	r := &verb{words: anyWords, Command: &cobra.Command{
		Use:   "reject ID [--op N...] --reason TEXT",
		Short: "reject what waits; the agent is told the reason",
		Long:  "Rejects what waits in a session, or in all sessions of a group. Everything after --reason is told the agent.",
		Example: `ssh HOST reject ID --reason too broad
ssh HOST reject ID --op 2 --reason "\"it's too broad\""`,
	}}
	r.Flags().StringVar(&reason, "reason", "", "the `TEXT` that the agent is told: all that follows")
	r.Flags().Var(&ops, "op", "only these operations: `N`, or N,N")
	r.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.reject(ctx, c, ops, reason) }
	return r
}

// reject rejects what waits. SSH joins words by spaces and takes quotes away, so that everything left over belongs to the
// reason.
func (v *Verbs) reject(ctx context.Context, c *invocation, named opsFlag, reason string) int {
	id, ops, rest, err := c.decision(named)
	if err != nil {
		return c.usage(err)
	}
	reason = strings.TrimSpace(reason + " " + strings.Join(rest, " "))
	if reason == "" {
		return c.usage(errors.New("--reason is missing: the agent is told it"))
	}
	if len(reason) > maxWords {
		return c.usage(fmt.Errorf("a reason has at most %d bytes", maxWords))
	}
	if members, err := v.members(c, id); err != nil {
		return c.fail(id, err)
	} else if members != nil {
		if len(ops) > 0 {
			return c.usage(errors.New("of a group everything that waits is rejected; for a part of it name a session"))
		}
		return v.each(c, id, members, func(id string) (journal.Session, error) {
			return v.Sessions.Reject(ctx, id, c.Identity, nil, reason)
		})
	}
	before, err := v.Sessions.Session(c.Identity, id)
	if err != nil {
		return c.fail(id, err)
	}
	s, err := v.Sessions.Reject(ctx, id, c.Identity, ops, reason)
	if err != nil {
		return c.fail(id, err)
	}
	c.report(before, s)
	return ExitOK
}

// maxReported is how much of an operation is told to who has just decided on it, in terminal cells.
const maxReported = 1000

// report says for each operation that waited what became of it.
func (c *invocation) report(before, after journal.Session) {
	waited := map[int]bool{}
	for _, op := range before.Operations {
		waited[op.N] = op.Decision == journal.Waiting
	}
	for _, op := range after.Operations {
		if waited[op.N] && op.Decision != journal.Waiting {
			what, _ := render.Fit(render.Stored(op.Summary), maxReported)
			c.notice("session %s, operation %d: %s: %s", after.ID, op.N, op.Decision, what)
		}
	}
	if after.GoesOn && after.ApprovedNotStarted() {
		c.notice("session %s starts as soon as there is a place for it", after.ID)
	}
}
