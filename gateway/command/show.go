package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// shown is how a session is shown: as JSON, with the files that its script has read.
type shown struct{ json, reads bool }

// newShow is `show ID [--json] [--reads]`.
func newShow() *verb {
	var how shown
	s := &verb{words: anyWords, Command: &cobra.Command{
		Use:   "show ID [--reads] [--json]",
		Short: "print a session; its last line is what you paste to approve",
		Long: `Prints a session: its script and each operation with every argument, directory, user, environment change, digest, the ` +
			`policy's reason and the decision. Of a session at a terminal it prints what was typed and printed there. Where something waits, the last line is the one that approves what was printed.`,
		Example: `ssh HOST show ID
ssh HOST show ID --reads`,
	}}
	s.Flags().BoolVar(&how.reads, "reads", false, "the files of the target that its script has read, too")
	s.Flags().BoolVar(&how.json, "json", false, "one JSON object on stdout")
	s.run = func(_ context.Context, v *Verbs, c *invocation) int { return v.show(c, how) }
	return s
}

// show prints everything about a session that a decision rests on, nothing cut.
func (v *Verbs) show(c *invocation, how shown) int {
	id, err := c.oneID()
	if err != nil {
		return c.usage(err)
	}
	members, err := v.members(c, id)
	if err != nil {
		return c.fail(id, err)
	}
	if members == nil {
		return v.showOne(c, id, how)
	}
	// What is printed is what its last line names, whatever the sessions are by then.
	whole := journal.WaitingDigestOf(members)
	for i := range members {
		if status := v.print(c, members[i], how, whole); status != ExitOK {
			return status
		}
	}
	if !how.json && c.Identity.MayDecide() {
		sendPage(v, c, func(p *page) { p.paste(id, members) })
	}
	return ExitOK
}

// showOne shows one session.
func (v *Verbs) showOne(c *invocation, id string, how shown) int {
	s, err := v.Sessions.Session(c.Identity, id)
	if err != nil {
		return c.fail(id, err)
	}
	status := v.print(c, s, how, "")
	if status == ExitOK && !how.json && c.Identity.MayDecide() {
		sendPage(v, c, func(p *page) { p.paste(id, []journal.Session{s}) })
	}
	return status
}

// print prints all of a session. group is the waiting digest of the group that it is shown with, "" for none.
func (v *Verbs) print(c *invocation, s journal.Session, how shown, group string) int {
	terminal, terminalErr := transcriptOf(v, c, &s)
	if how.json {
		out := wholeJSON(v.Sessions, s)
		out.Transcript = terminal
		var err error
		if out.Reads, err = v.reads(s, how.reads); err != nil || terminalErr != nil {
			return c.fail(s.ID, errors.Join(err, terminalErr))
		}
		out.GroupWaitingDigest = group
		if err := writeJSON(c.Stdout, out); err != nil {
			return ExitFault
		}
		return ExitOK
	}
	r, err := v.reads(s, how.reads)
	sendPage(v, c, func(p *page) {
		p.session(s, v.Sessions.Obstacle(&s))
		if terminal != nil {
			p.transcript(terminal, s.ID)
		}
		for i := range s.Operations {
			p.operation(&s, &s.Operations[i])
		}
		if r != nil {
			p.reads(r, how.reads)
		}
	})
	if err = errors.Join(err, terminalErr); err != nil {
		return c.fail(s.ID, err)
	}
	return ExitOK
}

// page prints named fields in two columns. Values must have been rendered.
type page struct {
	w    io.Writer
	diff func(f *journal.File, context int) (diff.Diff, bool, error)
}

// pieces is how much of a page is sent at once, in bytes. A packet for each line takes a long diff many times as long.
const pieces = 32 << 10

// sendPage has a page filled and sends it, in pieces, as it is filled.
func sendPage(v *Verbs, c *invocation, fill func(*page)) {
	out := bufio.NewWriterSize(c.Stdout, pieces)
	to := *c.Call
	to.Stdout = out // behind text, which is given whole lines
	fill(&page{w: to.text(), diff: v.Sessions.Diff})
	_ = out.Flush()
}

func (p *page) field(name string, value any) {
	_, _ = fmt.Fprintf(p.w, "  %-11s %s\n", name, value)
}

// flag warns of characters outside ASCII in the field before it.
func (p *page) flag(untrusted string) {
	if warning, ok := render.Flag(untrusted); ok {
		p.field("  !", warning)
	}
}

func (p *page) time(name string, t time.Time) {
	if !t.IsZero() {
		p.field(name, t.UTC().Format(time.RFC3339))
	}
}

func (p *page) session(s journal.Session, obstacle string) {
	_, _ = fmt.Fprintf(p.w, "session %s: %s\n", s.ID, s.Status)
	p.field("asked by", render.Format("%s (%s)", s.Identity, s.Key))
	p.field("target", render.Line(s.Target))
	if obstacle != "" {
		p.field("!", render.Format("nothing of it can be approved: %s", obstacle))
	}
	if s.Group != "" {
		p.field("group", s.Group)
	}
	if s.Name != "" {
		p.field("name", render.Format("%s  (the agent's words)", s.Name))
	}
	if s.Analysis != "" {
		p.field("analysis", render.Format("%s  (the agent's words)", s.Analysis))
	}
	if len(s.Args) > 1 && s.Args[0] == "-" {
		p.field("arguments", render.Argv(s.Args[1:]))
	}
	if len(s.Args) > 2 && s.Args[0] == "-c" {
		p.field("arguments", render.Argv(s.Args[2:]))
	}
	if s.Rest != nil {
		p.field("rest", render.Format("of the text: approved as it stands, by %s (%s)", s.Rest.By, s.Rest.ByKey))
	}
	p.time("began", s.Created)
	p.time("ended", s.Ended)
	p.time("waits until", s.Deadline)
	if s.Reason != "" {
		p.field("reason", render.Stored(s.Reason))
	}
	if s.Status.Final() {
		p.field("exit status", fmt.Sprint(exitStatus(s)))
	}
	kind := "script"
	if s.Shell {
		kind = "command"
	}
	_, _ = fmt.Fprintf(p.w, "%s (sha256 %s)\n", kind, s.ScriptSHA256)
	if s.Damage != "" {
		_, _ = fmt.Fprintf(p.w, "  damaged: %s\n", render.Line(s.Damage))
	}
	if s.Script != "" || s.Damage == "" {
		p.lines(s.Script)
	}
}

// lines prints text with the numbers of its lines, nothing cut.
func (p *page) lines(text string) {
	for n, line := range strings.Split(strings.TrimSuffix(render.Block(text).String(), "\n"), "\n") {
		_, _ = fmt.Fprintf(p.w, "  %4d  %s\n", n+1, line)
	}
}

// operation prints all details of an operation, each difference of a file's content in its place.
func (p *page) operation(s *journal.Session, op *journal.Operation) {
	_, _ = fmt.Fprintf(p.w, "operation %d: %s\n", op.N, op.Decision)
	section := journal.WorkSection
	for _, d := range s.Shown(op) {
		if d.Section == journal.ProofSection && section != d.Section {
			_, _ = fmt.Fprintln(p.w, "  details:")
		}
		section = d.Section
		switch v := d.Value.(type) {
		case journal.Content:
			p.content(d.Label, v.File)
		case journal.Environment:
			p.field(d.Label, render.Format("%d variables: %s", len(v), render.Argv(v)))
		default:
			if d.Name == "decision" {
				continue // the heading says it
			}
			for row := range d.Rows() {
				p.field(row.Label, row.Text)
			}
		}
	}
}

// waiting prints what waits in a session, nothing where nothing does.
func (p *page) waiting(s *journal.Session) {
	if s.WaitingDigest() == "" {
		return
	}
	_, _ = fmt.Fprintf(p.w, "session %s of %s on %s: %s\n", s.ID, render.Line(s.Identity), render.Line(s.Target), s.Status)
	for i := range s.Operations {
		if op := &s.Operations[i]; op.Decision == journal.Waiting {
			p.operation(s, op)
		}
	}
}

// paste prints, last of all, the line that approves what was printed.
func (p *page) paste(id string, sessions []journal.Session) {
	if len(sessions) == 1 {
		if digest := sessions[0].RestDigest(); digest != "" {
			_, _ = fmt.Fprintf(p.w, "to approve the rest of the text too, as it stands above, all that it would ask about from here on:\napprove %s --rest --digest %s%s\n",
				id, digest[:decision.PastedDigits], dangers(sessions))
		}
	}
	p.pasteWaiting(id, sessions)
}

// pasteWaiting prints the line that approves what waits alone.
func (p *page) pasteWaiting(id string, sessions []journal.Session) {
	if line := pasted(id, sessions); line != "" {
		_, _ = fmt.Fprintf(p.w, "to approve all that waits above, as it stands there (to reject it: reject %s --reason TEXT):\n%s\n", id, line)
	}
}

// pasted is the line that approves what waits in a session, or in the sessions of a group; "" where nothing waits.
func pasted(id string, sessions []journal.Session) string {
	digest := journal.WaitingDigestOf(sessions)
	if len(sessions) == 1 && sessions[0].ID == id {
		digest = sessions[0].WaitingDigest()
	}
	if digest == "" {
		return ""
	}
	return fmt.Sprintf("approve %s --digest %s", id, digest[:decision.PastedDigits]) + dangers(sessions)
}

// dangers are the flags that an approval needs of all that waits in sessions.
func dangers(sessions []journal.Session) (line string) {
	var dangers []string
	for i := range sessions {
		s := &sessions[i]
		if !slices.Contains(dangers, s.Target) && slices.ContainsFunc(s.Operations, func(op journal.Operation) bool {
			return op.Decision == journal.Waiting && op.Risk == policy.Danger
		}) {
			dangers = append(dangers, s.Target)
			line += " --danger " + render.Argv([]string{s.Target}).String()
		}
	}
	return line
}

// content prints what a change writes, as a unified diff.
func (p *page) content(label string, f *journal.File) {
	d, ok, err := p.diff(f, diff.Context)
	row, differs := change.ContentRow(label, f, d, ok, err)
	if !row.Text.Empty() {
		p.field(row.Label, row.Text)
	}
	if differs {
		p.hunks(d)
	}
}

func (p *page) hunks(d diff.Diff) {
	for _, h := range d.Hunks {
		_, _ = fmt.Fprintf(p.w, "        @@ -%d,%d +%d,%d @@\n", h.Old, h.OldLines, h.New, h.NewLines)
		for _, l := range h.Lines {
			_, _ = fmt.Fprintf(p.w, "  %4d  %c%s\n", max(l.New, l.Old), l.Kind, render.Block(l.Text))
			if l.Open {
				_, _ = fmt.Fprintln(p.w, `        \ no newline at the end`)
			}
			p.flag(l.Text)
		}
	}
}

// newCancel is `cancel ID [--json]`.
func newCancel() *verb {
	var asJSON bool
	w := &verb{words: anyWords, Command: &cobra.Command{
		Use: "cancel ID [--json]", Short: "end a session",
		Long:    "Ends a session, or all sessions of a group. An agent can end its own, an approver those on their targets.",
		Example: "ssh HOST cancel ID",
	}}
	w.Flags().BoolVar(&asJSON, "json", false, "the session as one JSON object on stdout; of a group, one in each line")
	w.run = func(ctx context.Context, v *Verbs, c *invocation) int { return cancel(ctx, v, c, asJSON) }
	return w
}

// cancel ends a session, or those of a group.
func cancel(ctx context.Context, v *Verbs, c *invocation, asJSON bool) int {
	id, err := c.oneID()
	if err != nil {
		return c.usage(err)
	}
	members, err := v.members(c, id)
	if err != nil {
		return c.fail(id, err)
	}
	status := ExitOK
	for _, m := range members {
		if !m.Status.Final() {
			status = max(status, v.cancelOne(ctx, c, m.ID, asJSON))
		}
	}
	if members != nil {
		return status
	}
	return v.cancelOne(ctx, c, id, asJSON)
}

// cancelOne ends one session.
func (v *Verbs) cancelOne(ctx context.Context, c *invocation, id string, asJSON bool) int {
	if _, err := v.Sessions.Session(c.Identity, id); err != nil {
		return c.fail(id, err)
	}
	s, err := v.Sessions.Cancel(ctx, id, c.Identity)
	if err != nil {
		return c.fail(id, err)
	}
	c.notice("session %s: %s", s.ID, s.Status)
	if asJSON {
		return c.json(describe(s, maxListed))
	}
	return ExitOK
}
