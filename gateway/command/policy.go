package command

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
)

// newPolicy is `policy [flags] [-- CMD…]`.
func newPolicy() *verb {
	target, asJSON := config.LocalTarget, false
	p := &verb{words: commandMaybe, Command: &cobra.Command{
		Use: "policy [flags] [-- COMMAND...]", Short: "say what the policy decides on a command; nothing runs",
		Long: "Says what the policy would decide on a shell command on a target, with the files that the target hides, and which grants " +
			"would let it run there. Nothing runs. Without a command, it lists the rules for the target.",
		Example: `ssh HOST policy -- systemctl restart nginx
ssh HOST policy --target web -- cat /srv/app.env
ssh HOST policy --target web`,
	}}
	p.Flags().StringVar(&target, "target", target, "the host that it would run on: a `NAME`")
	p.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	p.run = func(ctx context.Context, v *Verbs, c *invocation) int { return policyOf(ctx, v, c, target, asJSON) }
	return p
}

// policyOf says what the policy would say of a command line, or which rules there are. Nothing runs.
func policyOf(ctx context.Context, v *Verbs, c *invocation, target string, asJSON bool) int {
	text := c.command
	if _, known := v.Config.Remotes[target]; target != config.LocalTarget && (!known || c.Identity.Role != journal.Approver) {
		if status := v.mayUse(c, target); status != ExitOK {
			return status
		}
	}
	if text == "" {
		return rules(v, c, target, asJSON)
	}
	d, err := v.Sessions.JudgeShell(ctx, c.Identity, text, policy.Context{Target: target})
	if err != nil { // the client has left
		return ExitFault
	}
	out := verdictJSON{
		V: jsonVersion, Target: target, Command: text, Verdict: string(d.Verdict), Risk: string(d.Risk), Reason: render.Stored(d.Reason).String(),
		Effect: render.Stored(d.Effect).String(), Undo: render.Stored(d.Undo).String(), Grants: []int{},
	}
	lines := fmt.Sprintf("%s (%s): %s\n", out.Verdict, out.Risk, out.Reason)
	if d.Effect != "" {
		lines += fmt.Sprintf("effect: %s\nundo: %s\n", out.Effect, out.Undo)
	}
	if d.Verdict == policy.Ask {
		for _, g := range grantsFor(v, c, target, text, d.Risk) {
			out.Grants = append(out.Grants, g.N)
			lines += fmt.Sprintf("grant %d by %s lets it run: %s\n", g.N, render.Line(g.By), g.String())
		}
	}
	if asJSON {
		return c.json(out)
	}
	_, _ = fmt.Fprint(c.text(), lines)
	return ExitOK
}

// rules lists the rules for a target. An agent may read them: it can ask about any command, and open any file, one by one.
func rules(v *Verbs, c *invocation, target string, asJSON bool) int {
	profile, files := v.Config.Profile, v.Config.Files
	if r, ok := v.Config.Remotes[target]; ok {
		files.Read, files.Hide = r.Files.Read, r.Files.Hide
	}
	if !c.Identity.MayDecide() { // where the gateway keeps its own files is nobody's who only asks
		files.Hide = slices.DeleteFunc(slices.Clone(files.Hide), func(name string) bool { return isOwn(v.Config, name) })
	}
	out := rulesJSON{
		V: jsonVersion, Target: target, AutoApprove: rendered(profile.AutoApprove), Packs: rendered(profile.Packs),
		Programs: rendered(slices.Sorted(maps.Keys(profile.Programs))), AlwaysDeny: rendered(profile.AlwaysDeny),
		Read: rendered(files.Read), Hide: rendered(files.Hide), Scratch: rendered(files.Scratch),
	}
	if asJSON {
		return c.json(out)
	}
	for _, row := range []struct {
		about string
		of    []string
	}{
		{"run at once, where they only read", out.AutoApprove}, {"further programs, by packs", out.Packs}, {"by the operator's own rows", out.Programs},
		{"never run", out.AlwaysDeny}, {"scripts see", out.Read}, {"scripts do not see", out.Hide}, {"private to a session", out.Scratch},
	} {
		if len(row.of) > 0 {
			_, _ = fmt.Fprintf(c.text(), "%s: %s\n", row.about, strings.Join(row.of, ", "))
		}
	}
	_, _ = fmt.Fprintln(c.text(), "everything else waits for a human")
	return ExitOK
}

// isOwn reports whether a hidden name is the gateway's configuration or state, under the name that was given or the real one.
func isOwn(c *config.Config, name string) bool {
	for _, file := range []string{c.State, c.Path} {
		if file != "" && filepath.IsAbs(name) && filepath.Base(name) == filepath.Base(file) {
			return true
		}
	}
	return false
}

// rendered is a list as text, never nil.
func rendered(list []string) []string { return append([]string{}, renderAll(list)...) }
