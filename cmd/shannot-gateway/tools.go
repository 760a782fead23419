package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// policyCommand is `policy check` and `policy render`: JSON lines in, a line out for each.
func (p *program) policyCommand() *cobra.Command {
	file := ""
	check := &cobra.Command{
		Use:   "check [--config FILE]",
		Short: "judge commands, given as JSON lines on stdin",
		Long: `Judges commands, and runs none. On stdin is a JSON object in each line, on stdout the answer to each:

    {"id": 1, "argv": ["ls", "-l"]}, or {"id": 1, "shell": "ls | wc"}
    {"id": 1, "verdict": "allow", "risk": "safe", "reason": "…"}

The verdict is allow, ask or deny.`,
		Example: `echo '{"id":1,"shell":"ls; rm -rf /"}' | shannot-gateway policy check`,
	}
	check.Flags().StringVar(&file, "config", "", "judge by the [profile] of the configuration `FILE`, not by the built-in one")
	_ = check.MarkFlagFilename("config", "toml")
	p.does(check, func(context.Context, []string) int { return p.policyCheck(file) })
	rendering := p.does(&cobra.Command{
		Use:   "render",
		Short: "render untrusted text, given as JSON lines on stdin",
		Long: `Renders text as humans are shown it. On stdin is a JSON object in each line, on stdout the answer to each:

    {"id": 1, "text": "…"}, {"id": 1, "b64": "…"} or {"id": 1, "argv": ["…"]}
    {"id": 1, "shown": "…"}`,
		Example: `echo '{"id":1,"argv":["ls","a b"]}' | shannot-gateway policy render`,
	}, func(context.Context, []string) int {
		if err := render.Serve(p.stdin, p.stdout); err != nil {
			return p.fail(err)
		}
		return exitOK
	})
	return group("policy COMMAND", "judge commands, or render text, given as JSON lines", "Judges commands, or renders untrusted text: JSON lines in, a line out for each.", check, rendering)
}

func (p *program) policyCheck(file string) int {
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
