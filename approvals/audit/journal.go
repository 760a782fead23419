package audit

import (
	"slices"
	"strings"

	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

var _ journal.Auditor = (*Log)(nil)

// Record implements approvals.Auditor.
func (l *Log) Record(changes []journal.Revision) error { return l.Append(l.changes(changes)...) }

// Defer implements approvals.Auditor.
func (l *Log) Defer(changes []journal.Revision) { l.Later(l.changes(changes)...) }

func (l *Log) changes(changes []journal.Revision) (out []Event) {
	for _, c := range changes {
		for _, e := range l.change(c) {
			e.owner = c.After.Identity
			out = append(out, e)
		}
	}
	return out
}

// change lists what a transaction does to a session, in the order in which it comes about.
func (l *Log) change(c journal.Revision) (out []Event) {
	s := c.After
	if c.Before == nil {
		out = append(out, began(s))
	}
	c.Operations(func(before, after *journal.Operation) {
		for _, e := range l.operation(s, before, after) {
			e.Session, e.Operation = s.ID, after.N
			out = append(out, e)
		}
	})
	if r := s.Rest; r != nil && (c.Before == nil || c.Before.Rest == nil || *c.Before.Rest != *r) {
		out = append(out, Event{
			Event: Decision, Session: s.ID, Decision: string(journal.Approved), Identity: r.By, Key: r.ByKey, Digest: r.Digest,
			Reason: "the rest of the text as it stands",
		})
	}
	if r := c.Read(); r != nil {
		out = append(out, Event{
			Event: FilesRead, Session: s.ID, Target: s.Target, Count: uint64(max(0, r.Files)), Digest: r.SHA256, // #nosec G115 -- not negative
			More: r.More, Hash: r.MoreSHA256, Reason: r.Lost,
		})
	}
	switch {
	case c.Before != nil && c.Before.Status == s.Status, c.Before == nil && s.Status == journal.StatusRunning:
	case s.Status == journal.StatusRolledBack:
		out = append(out, Event{Event: Rollback, Session: s.ID, Status: string(s.Status), Reason: s.Reason})
	case s.Status.Final():
		out = append(out, Event{Event: Ended, Session: s.ID, Status: string(s.Status), ExitCode: s.ExitCode, Reason: s.Reason, Cut: s.Truncated})
	default:
		out = append(out, Event{Event: Status, Session: s.ID, Status: string(s.Status)})
	}
	return out
}

// Grant records that a grant was "granted" or "revoked".
func (l *Log) Grant(g grants.Grant, what string, by journal.Identity) error {
	g.Argv = l.o.Redact.Argv(g.Argv)
	names := make([]string, 0, len(g.EnvChanges))
	for _, change := range g.EnvChanges { // the values may be secrets, and the digest covers them
		name, _, _ := strings.Cut(change, "=")
		names = append(names, name)
	}
	g.EnvChanges = names
	kind := Granted
	if what != "granted" {
		kind = Revoked
	}
	return l.Append(Event{
		Event: kind, Session: g.From.Session, Operation: g.From.N, Identity: by.Name, Role: string(by.Role), Key: by.Fingerprint,
		Target: g.Target, Kind: string(g.Kind), Summary: g.String(), Digest: g.Digest, Count: uint64(max(0, g.N)), // #nosec G115 -- not negative
	})
}

// Rehearsal records that somebody has the waiting commands of a session run in a copy of their host, up to operation n or, with 0, all.
func (l *Log) Rehearsal(s *journal.Session, n int, by journal.Identity) error {
	return l.Append(Event{
		Event: Rehearsed, Session: s.ID, Operation: n, Identity: by.Name, Role: string(by.Role), Key: by.Fingerprint, Target: s.Target,
		Digest: s.WaitingDigest(),
	})
}

// shellText reports whether the command is a shell with a text, which is its summary.
func shellText(c *journal.Command) bool { return len(c.Argv) == 3 && c.Argv[1] == "-c" }

func began(s *journal.Session) Event {
	kind := "script"
	switch {
	case s.Shell:
		kind = "command line"
	case s.Interactive:
		kind = "interpreter"
	}
	return Event{
		Event: Session, Session: s.ID, Identity: s.Identity, Key: s.Key, Target: s.Target, Engine: s.Engine, Kind: kind,
		Name: s.Name, Analysis: s.Analysis, ScriptSHA256: s.ScriptSHA256, Plan: s.Plan,
	}
}

// operation lists what became of an operation: it was asked for, decided, started, and had a result.
func (l *Log) operation(s *journal.Session, before, after *journal.Operation) (out []Event) {
	had, decision := journal.Operation{}, journal.Waiting
	if before == nil {
		e := l.asked(s, after)
		if after.By == "" || after.Decision == journal.Allowed || after.Decision == journal.Denied {
			// What the policy decides at once is told with the verdict.
			e.Decision, decision = string(after.Decision), after.Decision
		}
		out = append(out, e)
	} else {
		had, decision = *before, before.Decision
	}
	ended := had.Finished.IsZero() && !after.Finished.IsZero()
	human := after.Decision == journal.Approved || after.Decision == journal.Rejected
	if after.Decision != decision && (human || !ended) {
		e := Event{Event: Decision, Decision: string(after.Decision), Reason: after.Reason, Digest: after.Digest}
		if human {
			e.Identity, e.Key = after.By, after.ByKey
		}
		out = append(out, e)
	}
	if had.Started.IsZero() && !after.Started.IsZero() {
		out = append(out, Event{Event: Execution, Digest: after.Digest, Identity: after.By})
	}
	if ended {
		e := Event{Event: Result, ExitCode: after.ExitCode, Signal: after.Signal, Cut: after.OutputCut}
		if after.Decision != decision && !human { // a conflict, a failure, or an end that is not known
			e.Decision, e.Reason = string(after.Decision), after.Reason
		}
		out = append(out, e)
	}
	return out
}

// asked describes an operation. It describes a command anew from its arguments, so that the search for secrets sees each
// argument as a whole.
func (l *Log) asked(s *journal.Session, o *journal.Operation) Event {
	e := Event{
		Event: Operation, Identity: s.Identity, Key: s.Key, Target: s.Target, Kind: string(o.Kind), Summary: o.Summary,
		Digest: o.Digest, Verdict: string(o.Verdict), Risk: string(o.Risk), Why: o.Why,
	}
	if o.Kind == journal.RollbackKind {
		e.Identity, e.Key = o.By, o.ByKey // it is not the agent who asks for that
	}
	if f := o.File; f != nil {
		e.Path, e.RunAs = render.Line(string(f.Path)).String(), f.RunAs
	}
	c := o.Command
	if c == nil {
		return e
	}
	e.Path, e.Dir, e.RunAs = render.Line(c.Path).String(), render.Line(c.Dir).String(), c.RunAs
	// A command line is shown as it is; searching it as a text is all that can be done.
	if len(c.Argv) > 0 && (len(o.Summary) > maxSearch || render.Argv(c.Argv).String() == o.Summary) && !shellText(c) {
		e.Summary = render.Argv(l.o.Redact.Argv(c.Argv)).String()
	}
	for _, change := range c.EnvChanges {
		name, _, _ := strings.Cut(change, "=")
		e.Env = append(e.Env, render.Line(name).String()) // the values may be secrets, and the digest covers them
	}
	slices.Sort(e.Env)
	return e
}
