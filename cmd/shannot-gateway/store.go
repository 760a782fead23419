package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway/config"
)

// storeCommand is `store check` and `store repair`.
func (p *program) storeCommand() *cobra.Command {
	var where place
	check := &cobra.Command{
		Use:   "check [--config FILE] [--state DIR]",
		Short: "name what is inconsistent in the journal",
		Long: `Names what is inconsistent in the journal of a gateway that does not run. The exit status is 1 where something is, and ` +
			`nothing is changed.`,
		Example: "shannot-gateway store check",
	}
	where.flags(check)
	p.does(check, func(context.Context, []string) int { return p.storeCheck(where) })
	return group("store COMMAND", "check and repair the journal of a gateway that does not run",
		"Checks and repairs the journal of a gateway that does not run.", check, storeRepairCommand(p))
}

// storeRepairCommand is `store repair [--empty] [--config FILE] [--state DIR]`.
func storeRepairCommand(p *program) *cobra.Command {
	var where place
	empty := false
	cmd := &cobra.Command{
		Use:   "repair [--empty] [--config FILE] [--state DIR]",
		Short: "make a new journal of what is readable",
		Long: `Makes a new database of what is readable of one whose pages or records are damaged, and names what is lost. A session ` +
			`comes over whole or not at all. The damaged database stays beside the new one. Copy the state directory away first: ` +
			`at its next start the gateway removes content that no session names any more. The gateway must not be running.`,
		Example: `shannot-gateway store repair
shannot-gateway store repair --empty`,
	}
	where.flags(cmd)
	cmd.Flags().BoolVar(&empty, "empty", false, "begin with no session, where the database is gone or empty")
	return p.does(cmd, func(context.Context, []string) int { return p.storeRepair(where, empty) })
}

// storeRepair makes a new database. The gateway must not be running.
func (p *program) storeRepair(where place, empty bool) int {
	c, err := loadConfig(where.config, "", where.state)
	if err != nil {
		return p.fail(err)
	}
	name := filepath.Join(c.State, databaseFile)
	do := store.Repair
	if empty {
		do = store.Begin
	} else if gone, err := store.Empty(name); err == nil && gone {
		return p.fail(fmt.Errorf("%s is gone or empty, so that there is nothing to repair: put it back from a copy, or begin with no session: "+
			"shannot-gateway store repair --empty", name))
	}
	r, err := do(name, time.Now())
	if err != nil {
		return p.fail(err)
	}
	for _, lost := range r.Lost {
		p.say("%s", lost)
	}
	if r.Before != "" {
		p.say("the database before is %s", r.Before)
	}
	p.say("%d sessions, %d operations, %d grants are in the new one", r.Sessions, r.Operations, r.Grants)
	return exitOK
}

// journalIsThere refuses a state directory whose journal is gone or empty, though its audit log knows of sessions: what was asked,
// approved and done would be forgotten, and done again by whoever asks again.
func journalIsThere(c *config.Config) error {
	name := filepath.Join(c.State, databaseFile)
	empty, err := store.Empty(name)
	if err != nil || !empty {
		return err
	}
	some, err := audit.Sessions(c.AuditDir())
	if err != nil || !some {
		return err
	}
	return fmt.Errorf("the journal %s is gone or empty, and the audit log in %s tells of sessions: put the journal back from a copy, or "+
		"begin with no session: shannot-gateway store repair --empty", name, c.AuditDir())
}

// storeCheck says whether the journal is whole. The gateway must not be running.
func (p *program) storeCheck(where place) int {
	c, err := loadConfig(where.config, "", where.state)
	if err != nil {
		return p.fail(err)
	}
	r, err := store.Inspect(filepath.Join(c.State, databaseFile))
	if err != nil {
		return p.fail(err)
	}
	for _, finding := range r.Findings {
		_, _ = fmt.Fprintln(p.stdout, render.Line(finding))
	}
	_, _ = fmt.Fprintf(p.stdout, "%d sessions, %d operations, %d blobs: %d findings\n", r.Sessions, r.Operations, r.Blobs, len(r.Findings))
	if len(r.Findings) > 0 {
		p.say("to go on with what is readable: shannot-gateway store repair")
		return exitFailure
	}
	return exitOK
}
