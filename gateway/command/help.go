package command

import (
	"context"
	"fmt"
	"strings"

	"shannot-gateway/approvals/render"
)

// agentHelp and approverHelp fit a screen of 24 lines of 80 characters.
const agentHelp = `Shannot gateway: run Python and shell commands on this host, watched over.
Replace HOST by what you typed to get here, for instance: ssh shannot@example

  ssh HOST < script.py                      run a Python script (3.14, stdlib)
  ssh HOST python3 - ARG < script.py        the same, with arguments
  ssh -t HOST python3                       an interpreter to type into
  ssh HOST df -h /                          run one shell command
  ssh HOST run --name disk-check - < f.py   name it, for the human who decides
  ssh HOST "run --json -c 'print(1)'"       the result as one JSON object

Scripts run in a sandbox: they read most of this host's files, have no network,
and a human approves what they wrote before it is there (/tmp is private and
vanishes). Commands run on the host itself, each judged by a policy:
  allowed   runs at once (ls, cat, df, ps, ...)
  denied    PermissionError; do not look for a way around it
  ask       your script waits inside the call until a human decides. Do not
            start it again: that is a new request. It goes on by itself.
Exit status 75 means that a human has not decided yet; stderr names the
session. Later, also from a new connection, get its output and exit status:
  ssh HOST wait ID                          or: list, show ID, cancel ID, help
  ssh HOST run --wait 30s - < script.py     wait for humans at most 30 s
Other statuses: 64 usage, 65 no script, 69 no such target, 70 our fault, 73 a
file changed meanwhile, 77 not permitted, 79 busy (try again), 124 out of time,
137 over a limit.
`

const approverHelp = `Shannot gateway: you decide what agents may run on this host.
Replace HOST by what you typed to get here, for instance: ssh shannot@example

  ssh -t HOST approve             the approval screen: read, approve, reject
  ssh HOST list                   what runs or waits now; --all: also the past
  ssh HOST show ID                a session: script, every operation, digests;
                                  its last line is what you paste to approve:
  ssh HOST approve ID --digest HEX   all that show printed; --op 2: a part of it
  ssh HOST reject ID --reason too broad       the agent is told the reason
  ssh HOST cancel ID              end a session
  ssh HOST rollback ID            undo its changes of files; --plan: show how
  ssh HOST wait ID                its output and exit status
  ssh HOST watch                  a line per event, until you leave
  ssh HOST policy -- systemctl restart nginx  what the policy says of it

Nobody decides on a session of their own. Read what show prints, not what the
agent calls it: name and analysis are the agent's words. Add --json to list,
show, wait, status, whoami and watch for scripts. More: help VERB
`

// help is `help [TOPIC]`.
func (v *Verbs) help(_ context.Context, c *invocation) int {
	words := texts(c.args)
	if len(words) == 0 {
		text := agentHelp
		if c.Identity.MayDecide() {
			text = approverHelp
		}
		_, _ = fmt.Fprint(c.Stdout, text)
		return ExitOK
	}
	for _, entry := range table() {
		if entry.name == words[0] && topics[entry.name] != "" {
			_, _ = fmt.Fprintf(c.Stdout, "%s\n\n%s\n", strings.TrimSpace(entry.name+" "+entry.usage), topics[entry.name])
			return ExitOK
		}
	}
	c.notice("there is no help on %s; see: help", render.Line(words[0]))
	return ExitUsage
}

// topics is what help says of a verb. A verb that is not built has none.
var topics = map[string]string{
	"run": `Runs the Python script on stdin, or the code after -c.
  -c CODE          the script; stdin is then the script's own input
  --target NAME    the host to look at and run commands on (default: local);
                   NAME,NAME or a group's name: the same on each, at once
  --name TEXT      a name, and
  --analysis TEXT  what you are after: shown to the human as your words
  --plan           run no command; list those that would need a decision
  --wait DURATION  wait for humans at most so long (30s, 5m), then exit 75
  --engine NAME    what runs it: native (CPython 3.14) or pypy (PyPy 3.6)
  --json           one JSON object on stdout
ssh takes one level of quotes away: ssh HOST "run --name 'disk check' -" < f.py`,
	"exec": `Runs one shell command on the target, through the policy. What follows -- is
the command as it is; the flags are those of run. Without flags, the command
alone will do: ssh HOST df -h /`,
	"list": `Lists the sessions that run or wait, --all also those that ended. An agent sees
its own, an approver those on their targets. --json prints one array.`,
	"show": `Prints a session: its script and each operation with every argument, directory,
user, environment change, digest, the policy's reason and the decision.
  --reads          the files of the target that its script has read, too
  --json           one JSON object`,
	"wait": `Prints a session's output from the beginning, follows it to its end, and exits
with its status; 75 where a human still has to decide. It may be repeated.
  --wait DURATION  wait for humans at most so long (0: not at all)
  --json           one JSON object, with both outputs exactly
Output of somebody else's session is rendered, and each line begins with "| ".
  --raw            its standard output as it is, for a file: wait ID --raw > FILE
A script whose client leaves while it waits is parked: the decision starts it
again, and what it did before is not done twice.`,
	"cancel": `Ends a session. An agent can end its own, an approver those on their targets.`,
	"approve": `With a terminal: the approval screen, opened on the session ID if one is given.
  --plain                  numbered lines and typed answers, for screen readers
  --alert bell|title|off   what happens when something new waits
  --undo DURATION          how long a decision can be undone (3s; 0s: not at all)
  --colors none|16|256|true   instead of what the terminal says; NO_COLOR works
  --background light       colours that can be read on white
With a digest, on any terminal or none: approves what waits, as show printed it.
The last line of show is the one to paste. Where something else waits by now,
nothing is decided, the exit status is 73, and what waits is printed instead. It
is 69 where a parked session could not start now: then it waits as before.
  --digest HEX     of all that waits: 12 digits of it at least (see show)
  --op N           only these operations of what show printed
  --danger TARGET  needed where something is dangerous: the target's name
  --grant exact    and the same command, byte for byte, without being asked again
  --grant shape --vary N   and the same with another number or name as its word N
                   (argv[N] in show), within the same directory for a path
  --until 8h       for this identity on this target so long; without it, for the
                   session alone. See: grants, revoke`,
	"grants": `Lists the grants in force, --all also those that are over. An agent sees its own,
an approver those on their targets. A void one lets nothing run: whoever made it
may not decide there any more, or its agent is gone.`,
	"revoke": `Takes grants back, by their numbers. No command starts by them any more.`,
	"reject": `Rejects what waits in a session. Everything after --reason is told the agent.`,
	"rollback": `Restores what the files that a session changed held before it: content, mode,
owner, and absence. Nothing is done where one of them has changed since.
  --plan           only list what would be done
  --force          restore what has changed since, too: that change is lost`,
	"targets": `Lists the hosts that you may use, and why one cannot be reached. --json prints one
array. Their files: sftp HOST, or scp HOST:/TARGET/etc/hosts . (an upload waits
for a human).`,
	"status": `Says how many of the sessions that you see run and wait, and whether the journal
can be written. Who decides is told how many clients are connected, too, and why
a configuration was not taken up.`,
	"whoami": `Prints your identity, role and the key that you came with.`,
	"policy": `Says what the policy would decide on a shell command. Nothing runs.`,
	"watch": `Prints a line per event of the sessions that you see until you leave. --json prints
one object per line.`,
	"help":    `Prints a page for your role, or about one verb.`,
	"version": `Prints the version.`,
}
