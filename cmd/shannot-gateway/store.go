package main

import (
	"context"
	"fmt"
	"path/filepath"

	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway/config"
)

// ofState parses `NAME VERB [--config FILE | --state DIR]`. ok is false with the status to return.
func (p *program) ofState(name, verb string, args []string) (c *config.Config, status int, ok bool) {
	if len(args) == 0 || args[0] != verb {
		_, _ = fmt.Fprintf(p.stderr, "usage: shannot-gateway %s %s [--config FILE | --state DIR]\n", name, verb)
		return nil, exitUsage, false
	}
	f := p.flags(name + " " + verb)
	file, state := f.String("config", "", "configuration `file`"), f.String("state", "", "state `directory`")
	if status, ok := p.parse(f, args[1:]); !ok {
		return nil, status, false
	}
	c, err := loadConfig(*file, "", *state)
	if err != nil {
		return nil, p.fail(err), false
	}
	return c, exitOK, true
}

// store is `store check`: whether the journal is whole. The gateway must not be running.
func (p *program) store(_ context.Context, args []string) int {
	c, status, ok := p.ofState("store", "check", args)
	if !ok {
		return status
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
