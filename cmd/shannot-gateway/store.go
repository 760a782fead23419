package main

import (
	"context"
	"fmt"
	"path/filepath"

	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/store"
)

// store is `store check`: whether the journal is whole. The gateway must not be running.
func (p *program) store(_ context.Context, args []string) int {
	if len(args) == 0 || args[0] != "check" {
		_, _ = fmt.Fprintln(p.stderr, "usage: shannot-gateway store check [--config FILE | --state DIR]")
		return exitUsage
	}
	f := p.flags("store check")
	file, state := f.String("config", "", "configuration `file`"), f.String("state", "", "state `directory`")
	if status, ok := p.parse(f, args[1:]); !ok {
		return status
	}
	c, err := loadConfig(*file, "", *state)
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
