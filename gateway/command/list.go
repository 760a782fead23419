package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// newList is `list [--all] [--json]`: an agent sees its own sessions, an approver those on their targets.
func newList() *verb {
	var all, asJSON bool
	l := &verb{Command: &cobra.Command{
		Use:   "list [--all] [--json]",
		Short: "list the sessions that run or wait; --all: the past, too",
		Long: `Lists the sessions that run or wait. An agent sees its own, an approver those on their targets. At a terminal (ssh -t) the ` +
			`table is as wide as the terminal.`,
		Example: `ssh HOST list
ssh HOST list --all`,
	}}
	l.Flags().BoolVar(&all, "all", false, "those that have ended, too")
	l.Flags().BoolVar(&asJSON, "json", false, "one JSON array on stdout")
	l.run = func(_ context.Context, v *Verbs, c *invocation) int { return v.list(c, all, asJSON) }
	return l
}

// list prints sessions.
func (v *Verbs) list(c *invocation, all, asJSON bool) int {
	sessions, err := v.Sessions.Sessions(c.Identity, approvals.Filter{All: all})
	if err != nil {
		return c.fail("", err)
	}
	if asJSON {
		out := make([]sessionJSON, 0, len(sessions))
		for _, s := range sessions {
			one := describe(s, maxListed)
			one.Obstacle = v.Sessions.Obstacle(&s)
			out = append(out, one)
		}
		return c.json(out)
	}
	if len(sessions) == 0 {
		c.notice("nothing runs or waits%s", map[bool]string{false: "; list --all shows what has ended", true: ""}[all])
		return ExitOK
	}
	rows, width := make([]listRow, 0, len(sessions)), 0
	if c.Terminal != nil {
		width = c.Terminal.Width
	}
	for _, s := range sessions {
		rows = append(rows, rowOf(s, v.Now().Sub(s.Created), v.Sessions.Obstacle(&s) != ""))
	}
	_, _ = io.WriteString(c.text(), listTable(rows, width))
	return ExitOK
}

// rowOf is what list says of a session of some age, and whether something is in the way of its approval.
func rowOf(s journal.Session, old time.Duration, obstacle bool) listRow {
	shown := what(s)
	if obstacle {
		shown = render.Format("(cannot be approved) %s", shown) // show says why
	}
	return listRow{
		sessionColumn: render.Line(s.ID), ageColumn: render.Line(age(old)), statusColumn: render.Line(string(s.Status)),
		identityColumn: render.Line(s.Identity), targetColumn: render.Line(s.Target), whatColumn: shown,
	}
}

// what is a session's most telling line: what waits, else its name, else what it ran last.
func what(s journal.Session) render.Text {
	for _, op := range s.Operations {
		if op.Decision == journal.Waiting {
			return render.Stored(op.Summary)
		}
	}
	switch n := len(s.Operations); {
	case s.Name != "":
		return render.Line(s.Name)
	case n > 0:
		return render.Stored(s.Operations[n-1].Summary)
	case s.Shell:
		return render.Own("a command")
	}
	return render.Own("a script")
}

// age is a time span in at most four characters.
func age(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 72*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
