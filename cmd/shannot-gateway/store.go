package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/store"
)

// storeCommand is `store check`.
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
	return group("store COMMAND", "look into the journal of a gateway that does not run", "Looks into the journal of a gateway that does not run.", check)
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
		return exitFailure
	}
	return exitOK
}
