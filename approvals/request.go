package approvals

import (
	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// Request asks for a session.
type Request struct {
	Identity       journal.Identity
	Target         targets.Target
	Engine         string
	Args           []string // what follows the interpreter, for a script
	Script         string   // source, or shell text
	Shell          bool     // Script is shell text, one command
	Interactive    bool     // the script is typed at a terminal as it goes; Script says so
	Name, Analysis string   // the agent's own words
	Group          string   // of sessions that were started together, see NewGroup; "" for none
	Plan           bool     // run nothing: record what would be done, and wait
	Env            []string // the environment that the session begins with, KEY=VALUE
	// Queued, where it is there, is called once if the session has to wait for a place, with why, in one line.
	Queued func(why string)
}
