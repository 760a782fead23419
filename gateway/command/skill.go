package command

import (
	"context"
	_ "embed"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/journal"
)

// skillText is a skill's page, in which {{help}} stands for what help says to an agent: it is said once.
//
//go:embed skill.md
var skillText string

// newSkill is `skill`.
func newSkill() *verb {
	return &verb{run: skill, Command: &cobra.Command{
		Use: "skill", Short: "print a SKILL.md, by which an agent learns all this",
		Long:    "Prints a page in the form of a skill file, for an agent that is to know the gateway before its first line. Replace HOST in it.",
		Example: "ssh HOST skill > SKILL.md",
	}}
}

func skill(_ context.Context, _ *Verbs, c *invocation) int {
	if _, err := io.WriteString(c.Stdout, strings.ReplaceAll(skillText, "{{help}}", strings.TrimSuffix(pageOf(journal.Agent), "\n"))); err != nil {
		return ExitFault // the client is gone
	}
	return ExitOK
}
