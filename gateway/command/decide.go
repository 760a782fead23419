package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
)

// maxOps is how many operations one decision may name.
const maxOps = 10000

// opsFlag collects --op 1 --op 2,3; a number that stands alone after it counts too.
type opsFlag []int

// Set implements flag.Value.
func (o *opsFlag) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not an operation's number", part)
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

// String implements flag.Value.
func (o *opsFlag) String() string { return fmt.Sprint([]int(*o)) }

// decision parses an id, --op and the words that are left.
func decision(f *flag.FlagSet, args []word) (id string, ops opsFlag, rest []string, err error) {
	f.Var(&ops, "op", "")
	words, err := parse(f, args)
	if err != nil {
		return "", nil, nil, err
	}
	if len(words) == 0 {
		return "", nil, nil, errors.New("the session's id is missing")
	}
	if id, err = cleanID(words[0]); err != nil {
		return "", nil, nil, err
	}
	rest = words[1:]
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

// approve is the screen, `approve [flags] [ID]` at a terminal, or `approve ID --digest HEX [--op N…]`, which decides.
func (v *Verbs) approve(ctx context.Context, c *invocation) int {
	if o, ok, err := c.screenOptions(); err != nil {
		return c.usage(err)
	} else if ok {
		return v.screen(ctx, c, o)
	}
	var a approvals.Approval
	var grant grantFlags
	var danger namesFlag
	f := c.flags()
	f.StringVar(&a.Waiting, "digest", "", "")
	f.Var(&danger, "danger", "")
	f.StringVar(&grant.kind, "grant", "", "")
	f.Var(&grant.vary, "vary", "")
	f.StringVar(&grant.until, "until", "", "")
	id, ops, rest, err := decision(f, c.args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("what is %q for?", rest[0])
	}
	if err != nil {
		return c.usage(err)
	}
	spec, granting, err := grant.spec()
	if err != nil {
		return c.usage(err)
	}
	a.Ops, a.Danger = ops, danger
	if a.Waiting != "" {
		if err := a.Well(); err != nil {
			return c.usage(err)
		}
	}
	members, err := v.members(c, id)
	switch {
	case err != nil:
		return c.fail(id, err)
	case members != nil && (len(ops) > 0 || granting):
		return c.usage(errors.New("of a group everything that waits is approved; for a part of it name a session"))
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
func (v *Verbs) notApproved(c *invocation, id string, a approvals.Approval, err error) int {
	status := ExitUsage
	switch {
	case errors.Is(err, approvals.ErrDigest):
		status = ExitConflict
		c.notice("nothing was decided: %s", render.Line(err.Error()))
	case errors.Is(err, approvals.ErrDanger):
		c.notice("nothing was decided: %s", render.Line(err.Error()))
	case errors.Is(err, approvals.ErrUnnamed):
		c.notice("nothing was decided: %s", render.Line(err.Error()))
	default:
		return c.fail(id, err)
	}
	members, err := v.members(c, id)
	if err == nil && members == nil {
		var s approvals.Session
		s, err = v.Sessions.Session(c.Identity, id)
		members = []approvals.Session{s}
	}
	if err != nil {
		return c.fail(id, err)
	}
	if line := pasted(id, members); line == "" {
		c.notice("nothing waits there now; see: show %s", render.Line(id))
		return status
	}
	p := &page{w: c.text(), diff: v.Sessions.Diff}
	for i := range members {
		p.waiting(&members[i])
	}
	p.paste(id, members)
	return status
}

// namesFlag collects names: --danger one --danger two,three.
type namesFlag []string

// Set implements flag.Value.
func (n *namesFlag) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		if len(*n) >= maxFleet {
			return errors.New("too many names")
		}
		*n = append(*n, name)
	}
	return nil
}

// String implements flag.Value.
func (n *namesFlag) String() string { return strings.Join(*n, ",") }

// reject is `reject ID [--op N…] --reason TEXT`. SSH joins words by spaces and takes quotes away, so that everything
// left over belongs to the reason.
func (v *Verbs) reject(ctx context.Context, c *invocation) int {
	var reason string
	f := c.flags()
	f.StringVar(&reason, "reason", "", "")
	id, ops, rest, err := decision(f, c.args)
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
		return v.each(c, id, members, func(id string) (approvals.Session, error) {
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
func (c *invocation) report(before, after approvals.Session) {
	waited := map[int]bool{}
	for _, op := range before.Operations {
		waited[op.N] = op.Decision == approvals.Waiting
	}
	for _, op := range after.Operations {
		if waited[op.N] && op.Decision != approvals.Waiting {
			what, _ := render.Fit(rendered(op.Summary), maxReported)
			c.notice("session %s, operation %d: %s: %s", after.ID, op.N, op.Decision, what)
		}
	}
	if after.GoesOn && after.ApprovedNotStarted() {
		c.notice("session %s starts as soon as there is a place for it", after.ID)
	}
}
