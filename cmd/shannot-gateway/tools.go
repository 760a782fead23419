package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// policy is `policy check` and `policy render`: JSON lines in, a line out for each.
func (p *program) policy(_ context.Context, args []string) int {
	what := ""
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	f := p.flags("policy " + what)
	file := ""
	if what == "check" {
		f.StringVar(&file, "config", "", "configuration `file`")
	}
	if what != "check" && what != "render" {
		_, _ = fmt.Fprintln(p.stderr, "usage: shannot-gateway policy check [--config FILE] | policy render, with JSON lines on stdin")
		return exitUsage
	}
	if status, ok := p.parse(f, args); !ok {
		return status
	}
	if what == "render" {
		if err := render.Serve(p.stdin, p.stdout); err != nil {
			return p.fail(err)
		}
		return exitOK
	}
	profile := policy.DefaultProfile()
	if file != "" {
		c, err := loadConfig(file, "", "")
		if err != nil {
			return p.fail(err)
		}
		profile = c.Profile
	}
	judge, err := policy.New(profile)
	if err != nil {
		return p.fail(fmt.Errorf("[profile]: %w", err))
	}
	if err := policy.Serve(p.stdin, p.stdout, judge); err != nil {
		return p.fail(err)
	}
	return exitOK
}

// cacheRuntime is where the interpreter is unpacked for what has no state directory.
func cacheRuntime() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find your cache directory: %w", err)
	}
	return filepath.Join(dir, "shannot-gateway", runtimeFolder), nil
}
