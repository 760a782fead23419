package command

import (
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/internal/commandline"
)

// exits are what the exit statuses of verbs mean.
var exits = []commandline.Exit{
	{Status: ExitOK, Meaning: "It was done. A script or command has the status that it ended with."},
	{Status: ExitUsage, Meaning: "The line is wrong. Nothing was done."},
	{Status: ExitNotAScript, Meaning: "That is no script: it is empty, too large, or not UTF-8."},
	{Status: ExitUnreachable, Meaning: "The target cannot be reached."},
	{Status: ExitFault, Meaning: "The gateway failed."},
	{Status: ExitConflict, Meaning: "A file changed meanwhile, or something else waits than what the digest names. Nothing was decided."},
	{Status: ExitWaiting, Meaning: "A human has not decided yet. stderr names the session; wait gets its result."},
	{Status: ExitNotPermitted, Meaning: "It is not permitted, or was rejected."},
	{Status: ExitBusy, Meaning: "There is no place for another session now. Nothing was started; try again."},
	{Status: ExitTime, Meaning: "It ran out of time."},
	{Status: ExitLimit, Meaning: "It ran out of memory, or was killed by another limit."},
}

// Manual are the manual pages of the verbs: one of all of them, and one of each, by their names, which begin with name. see
// names further pages.
func Manual(name string, see []string) map[string][]byte {
	all := &cobra.Command{
		Use:   "[VERB | COMMAND...]",
		Short: "what can be typed over SSH at a Shannot gateway",
		Long: `Agents and approvers reach a Shannot gateway with nothing but an SSH client. HOST stands for the gateway's address, such as ` +
			`shannot@example. A line whose first word is a verb is for the gateway. Any other line is a shell command of the target, which ` +
			`goes through the policy; so do the lines python3 - and python3 -c CODE, whose scripts run in the sandbox. Without a line, the ` +
			`script comes on stdin; at a terminal, an approver gets the approval screen.`,
		Example: `ssh HOST < script.py
ssh HOST df -h /
ssh HOST python3 - ARG < script.py
ssh -t HOST python3
ssh -t HOST approve`,
		Run: func(*cobra.Command, []string) {},
	}
	pages := map[string][]byte{}
	for _, r := range table() {
		v := r.make()
		if v.Hidden {
			continue
		}
		v.Run = all.Run
		all.AddCommand(v.Command)
		var roles []string
		for _, role := range r.roles {
			roles = append(roles, string(role))
		}
		if len(r.roles) < len(everyone) {
			v.Long += "\n\nIt is for these roles: " + strings.Join(roles, " and ") + "."
		}
		pages[name+"-"+r.name] = commandline.Man(v.Command, commandline.Manual{Name: name + "-" + r.name, Before: sshHost, Exits: exits, See: append([]string{name}, see...)})
	}
	also := append([]string{}, see...)
	for _, child := range commandline.Children(all) {
		also = append(also, name+"-"+child.Name())
	}
	pages[name] = commandline.Man(all, commandline.Manual{Name: name, Before: sshHost, Exits: exits, See: also})
	return pages
}
