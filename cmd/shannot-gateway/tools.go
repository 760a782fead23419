package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/sandbox/native"
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

// runtime is `runtime install|status|remove`.
func (p *program) runtime(ctx context.Context, args []string) int {
	what := ""
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	f := p.flags("runtime " + what)
	file, state := f.String("config", "", "configuration `file`"), f.String("state", "", "state `directory`")
	if what != "install" && what != "status" && what != "remove" {
		_, _ = fmt.Fprintln(p.stderr, "usage: shannot-gateway runtime install|status|remove [--config FILE] [--state DIR]")
		return exitUsage
	}
	if status, ok := p.parse(f, args); !ok {
		return status
	}
	c, err := loadConfig(*file, "", *state)
	if err != nil {
		return p.fail(err)
	}
	dir := filepath.Join(c.State, runtimeFolder)
	switch what {
	case "install":
		err = installRuntime(ctx, dir)
		if err == nil {
			_, _ = fmt.Fprintf(p.stdout, "the interpreter is in %s and runs in the sandbox\n", dir)
		}
	case "remove":
		err = os.RemoveAll(dir)
		if err == nil {
			_, _ = fmt.Fprintf(p.stdout, "removed %s; serve installs it again\n", dir)
		}
	case "status":
		return p.runtimeStatus(dir)
	}
	if err != nil {
		return p.fail(err)
	}
	return exitOK
}

func installRuntime(ctx context.Context, dir string) error {
	engine := native.New(native.Options{Runtime: dir})
	defer func() { _ = engine.Close() }()
	return engine.Check(ctx)
}

func (p *program) runtimeStatus(dir string) int {
	found, err := filepath.Glob(filepath.Join(dir, "python-*"))
	if err != nil || len(found) == 0 {
		_, _ = fmt.Fprintf(p.stdout, "no interpreter in %s; shannot-gateway runtime install\n", dir)
		return exitFailure
	}
	for _, name := range found {
		_, _ = fmt.Fprintln(p.stdout, name)
	}
	return exitOK
}
