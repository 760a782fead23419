package journal

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"shannot-gateway/approvals/policy"
)

// TextEngine is the engine whose sessions run a text, each command of which is judged when it starts. Of such a session a human
// can approve the rest as it stands, in place of one command after the other.
const TextEngine = "shell"

// Rest is an approval of the rest of a session's text: of all that a human would be asked about from then on. What the policy
// denies is none of it.
type Rest struct {
	By, ByKey string // the approver's name, and the fingerprint of their key
	At        time.Time
	Digest    string // hex: Session.RestDigest as it was then
	Danger    bool   // the approver has typed the target's name: what is dangerous is of it, too
}

// whole is nil for a rest that says all.
func (r *Rest) whole() error {
	if r.By == "" || r.ByKey == "" || r.At.IsZero() || r.Digest == "" {
		return errors.New("the approval of the rest does not say who, when and of what")
	}
	return nil
}

// Covers reports whether an operation that a human would be asked about is of the rest that was approved.
func (r *Rest) Covers(o *Operation) bool {
	return r != nil && o.Verdict != policy.Deny && (r.Danger || o.Risk != policy.Danger)
}

// Event is what happens to an operation of the rest.
func (r *Rest) Event(now time.Time) Event {
	return Event{What: Follow, At: now, By: Identity{Name: r.By, Fingerprint: r.ByKey}}
}

// Distrust takes back the approval of the rest of the text, where there is one.
func (s *Session) Distrust() error {
	if s.Rest == nil {
		return nil
	}
	return s.Apply(Event{What: Retract})
}

// hasRest reports whether there is a rest that can be approved.
func (s *Session) hasRest() bool {
	return s.Engine == TextEngine && !s.Shell && !s.Plan && !s.Interactive && s.Script != ""
}

// RestDigest is the hex SHA-256 that an approval of the rest of the session's text names: over the text, what it was called with,
// what has run and what waits. It is "" where nothing waits, and where the session runs no text. The encoding is
//
//	string "shannot rest v1", then the session's id, ScriptSHA256, list Args, the waiting digest, and a list with, for each
//	operation in order, its digest, its decision, and its exit status in decimal, "" for none
func (s *Session) RestDigest() string {
	waiting := s.WaitingDigest()
	if waiting == "" || !s.hasRest() || s.Status.Final() {
		return ""
	}
	var operations []string
	for i := range s.Operations {
		o := &s.Operations[i]
		code := ""
		if o.ExitCode != nil {
			code = strconv.Itoa(*o.ExitCode)
		}
		operations = append(operations, o.Digest, string(o.Decision), code)
	}
	e := encoder{}
	e.str(digestRest)
	e.str(s.ID)
	e.str(s.ScriptSHA256)
	e.list(slices.Clone([]string(s.Args)))
	e.str(waiting)
	e.list(operations)
	return SHA256Hex(e.b)
}
