package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/internal/commandline"
)

// maxFleet is how many targets one line may name, and fleetAtOnce on how many of them it is at work at a time where no
// limit of sessions says less.
const (
	maxFleet    = 256
	fleetAtOnce = 16
)

// named expands a --target: names of targets and of groups, with commas. nil comes with an exit status.
func (v *Verbs) named(c *invocation, list string) ([]string, int) {
	var names []string
	for _, name := range strings.Split(list, ",") {
		members := []string{name}
		if group, ok := v.Config.Groups[name]; ok {
			members = group
		}
		for _, m := range members {
			if !slices.Contains(names, m) {
				names = append(names, m)
			}
		}
	}
	if len(names) > maxFleet {
		c.notice("%d targets are too many, %d at most", len(names), maxFleet)
		return nil, ExitUsage
	}
	for _, name := range names {
		if status := v.mayUse(c, name); status != ExitOK {
			return nil, status
		}
	}
	return names, ExitOK
}

// mayUse says why a target cannot be used, and returns the exit status for that.
func (v *Verbs) mayUse(c *invocation, name string) int {
	_, remote := v.Config.Remotes[name]
	switch {
	case !remote && name != config.LocalTarget:
		c.notice("there is no target %s; see: targets", render.Line(commandline.Shortened(name)))
		return ExitUnreachable
	case !slices.Contains(c.Targets, name):
		c.notice("%s may not use the target %s; see: targets", c.Identity.Name, render.Line(name))
		return ExitNotPermitted
	}
	return ExitOK
}

// fleet runs the same on several targets, each in a session of its own, all of one group: what waits in any of them can
// be decided on at once, by the group's id. The exit status is the largest of all.
func (v *Verbs) fleet(ctx context.Context, c *invocation, flags runFlags, names []string, r approvals.Request, stdin func() io.Reader) int {
	group, err := v.Sessions.NewGroup()
	if err != nil {
		return c.fail("", err)
	}
	r.Group = group
	c.notice("%s: sessions of the group %s; show %s, the approve line that this ends with, reject and cancel %s are for all of them at once",
		render.Line(strings.Join(names, ", ")), group, group, group)
	atOnce := fleetAtOnce
	if limit := v.Config.Limits.SessionsPerIdentity; limit > 0 {
		atOnce = min(atOnce, limit)
	}
	places := make(chan struct{}, atOnce)
	statuses := make([]int, len(names))
	out := &sharedOutput{}
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			statuses[i] = v.oneOf(ctx, c, out, flags, name, r, stdin())
		})
	}
	all.Wait()
	if !flags.machine() {
		for i, name := range names {
			c.notice("%s: exit status %d", name, statuses[i])
		}
	}
	return slices.Max(statuses)
}

// oneOf runs a fleet's session on one target. What it prints is marked with the target's name; JSON is one object in a
// line of its own.
func (v *Verbs) oneOf(ctx context.Context, c *invocation, out *sharedOutput, flags runFlags, name string, r approvals.Request, stdin io.Reader) int {
	call := *c.Call
	own := *c
	own.Call = &call
	call.Terminal = nil
	call.noticed = &lockedWriter{out, c.Stderr}
	call.label = name
	if flags.machine() {
		call.Stdout, call.Stderr = &lockedWriter{out, c.Stdout}, io.Discard
	} else {
		stdout, stderr := &marked{shared: out, to: c.Stdout, mark: name + " | "}, &marked{shared: out, to: c.Stderr, mark: name + " | "}
		call.Stdout, call.Stderr = stdout, stderr
		defer stdout.end()
		defer stderr.end()
	}
	target, status := v.target(ctx, &own, name)
	if target == nil {
		none := sessionJSON{V: jsonVersion, Identity: c.Identity.Name, Target: name, Status: journal.StatusFailed, ExitCode: &status, Reason: "the target cannot be used", Operations: []operationJSON{}}
		switch {
		case flags.json:
			_ = writeJSON(call.Stdout, none)
		case flags.stream:
			_ = (&streamed{to: call.Stdout, target: name, now: v.Now}).end(&none, status)
		}
		return status
	}
	return v.begin(ctx, &own, flags, target, r, stdin)
}

// sharedOutput keeps what several sessions print in one piece each.
type sharedOutput struct{ mu sync.Mutex }

func (s *sharedOutput) write(to io.Writer, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = to.Write(p)
}

// lockedWriter writes each piece as a whole.
type lockedWriter struct {
	shared *sharedOutput
	to     io.Writer
}

// Write implements io.Writer.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.shared.write(w.to, p)
	return len(p), nil
}

// maxMarkedLine is the longest line that is kept together, in bytes.
const maxMarkedLine = 64 << 10

// marked puts a mark before every line of a stream. A line is printed when it is whole.
type marked struct {
	shared *sharedOutput
	to     io.Writer
	mark   string
	line   []byte
}

// Write implements io.Writer.
func (m *marked) Write(p []byte) (int, error) {
	m.line = append(m.line, p...)
	for {
		at := bytes.IndexByte(m.line, '\n')
		if at < 0 {
			if len(m.line) > maxMarkedLine {
				m.print(append(m.line, '\n'))
				m.line = nil
			}
			return len(p), nil
		}
		m.print(m.line[:at+1])
		m.line = m.line[at+1:]
	}
}

func (m *marked) print(line []byte) {
	m.shared.write(m.to, append([]byte(m.mark), line...))
}

// end prints what has no end of line.
func (m *marked) end() {
	if len(m.line) > 0 {
		m.print(append(m.line, '\n'))
		m.line = nil
	}
}

// members returns the sessions of a group that the caller may see, none where the id is not a group's. How many others there are
// is said, since a decision on a group is no decision on all of it then.
func (v *Verbs) members(c *invocation, id string) ([]journal.Session, error) {
	if !journal.IsGroup(id) {
		return nil, nil
	}
	members, others, err := v.Sessions.Group(c.Identity, id)
	if others > 0 {
		c.notice("%d more sessions of the group %s are on targets that are not yours: this is not about them", others, id)
	}
	return members, err
}

// approveGroup approves all that waits in the sessions of a group, as it was shown.
func (v *Verbs) approveGroup(ctx context.Context, c *invocation, id string, members []journal.Session, a decision.Approval) int {
	after, err := v.Sessions.ApproveGroup(ctx, members, c.Identity, a)
	if err != nil {
		return v.notApproved(c, id, a, err)
	}
	for i := range after {
		c.about(after[i].Target).report(members[i], after[i])
	}
	return ExitOK
}

// about is the same invocation with the name of a target before its notices.
func (c *invocation) about(target string) *invocation {
	call, own := *c.Call, *c
	own.Call = &call
	call.label = target
	return &own
}

// each does something to every session of a group, and reports what it says. Where nothing waited in any of them, that
// is an error.
func (v *Verbs) each(c *invocation, id string, members []journal.Session, decide func(id string) (journal.Session, error)) int {
	decided, status := 0, ExitOK
	for _, before := range members {
		after, err := decide(before.ID)
		switch {
		case errors.Is(err, journal.ErrNotWaiting):
			continue
		case err != nil:
			status = max(status, c.fail(before.ID, fmt.Errorf("%s: %w", before.Target, err)))
			continue
		}
		decided++
		c.about(before.Target).report(before, after)
	}
	if decided == 0 && status == ExitOK {
		return c.fail(id, journal.ErrNotWaiting)
	}
	return status
}
