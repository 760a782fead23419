package tui

import (
	"slices"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// results are what became of the decisions of this screen, the latest last. Each stays until the human has seen how it ended: on
// the operation's own page, or by the key that says so.
type results struct{ list []*outcomeOf }

// outcomeOf is what became of one decision.
type outcomeOf struct {
	subject  subject
	approved bool
	op       journal.Operation // as the gateway has it now; a number of 0 where that is not known
	problem  line              // why the decision did not count, nil where it did
	told     line              // what else there is to say
	shown    bool              // its end has been on the screen
}

// maxResults bounds how many are kept; the oldest go first.
const maxResults = 50

// maxFollowed bounds the sessions that are looked at for results.
const maxFollowed = 16

// take adds what came of a verdict.
func (r *results) take(msg *decidedMsg, explain func(i int) line) {
	for i := range msg.verdict.subjects {
		o := &outcomeOf{subject: msg.verdict.subjects[i], approved: msg.verdict.approve, told: msg.results[i].told}
		if msg.results[i].err != nil {
			o.problem = explain(i)
		} else {
			o.follow(&msg.results[i].session)
		}
		r.list = append(r.list, o)
	}
	r.list = r.list[max(len(r.list)-maxResults, 0):]
}

// follow takes the session of the decision as it is now.
func (o *outcomeOf) follow(s *journal.Session) {
	if op := operationOf(s, o.subject.n); op != nil {
		o.op = *op
	}
}

// over reports whether nothing more will become of it.
func (o *outcomeOf) over() bool {
	if o.problem != nil || !o.approved {
		return true
	}
	return o.op.N > 0 && (!o.op.Finished.IsZero() || o.op.Decision != journal.Approved)
}

// open are the sessions in which something is not over.
func (r *results) open() []string {
	var ids []string
	for _, o := range r.list {
		if !o.over() && !slices.Contains(ids, o.subject.session) && len(ids) < maxFollowed {
			ids = append(ids, o.subject.session)
		}
	}
	return ids
}

// follow takes a session as it is now.
func (r *results) follow(s *journal.Session) {
	for _, o := range r.list {
		if o.subject.session == s.ID && o.problem == nil {
			o.follow(s)
		}
	}
}

// seen drops what the human has seen the end of on the page of an operation; n is 0 for all of a session.
func (r *results) seen(session string, n int) {
	r.list = slices.DeleteFunc(r.list, func(o *outcomeOf) bool {
		return o.shown && o.problem == nil && o.told == nil && o.subject.session == session && (n == 0 || o.subject.n == n)
	})
}

// onPage notes that an operation's page shows how it ended.
func (r *results) onPage(session string, n int) {
	for _, o := range r.list {
		o.shown = o.shown || o.over() && o.subject.session == session && o.subject.n == n
	}
}

// clear drops all that is over. It reports whether there was anything.
func (r *results) clear() bool {
	before := len(r.list)
	r.list = slices.DeleteFunc(r.list, (*outcomeOf).over)
	return len(r.list) < before
}

// lines are the latest results, as many as there is room for.
func (r *results) lines(width, room int) []line {
	var lines []line
	for i, o := range r.list[max(len(r.list)-room, 0):] {
		l := o.line(width)
		if hidden := len(r.list) - room; i == 0 && hidden > 0 {
			l = join(format(toneDim, "%d more above · ", hidden), l)
		}
		lines = append(lines, l.fit(width))
	}
	return lines
}

// line is a result in one line: how it went, in which session, what, and how it ended.
func (o *outcomeOf) line(width int) line {
	mark, t, end := o.end()
	l := join(own(t, mark), shown(toneDim, o.subject.session), own(tonePlain, " "))
	room := max(width-l.cells()-end.cells()-2, 12)
	return join(l, o.subject.what.fit(room), own(tonePlain, ": "), end)
}

// end is how it ended.
func (o *outcomeOf) end() (mark render.Words, t tone, end line) {
	op := &o.op
	switch {
	case o.problem != nil:
		return "✗ ", toneDanger, o.problem
	case !o.approved:
		return "✓ ", toneCaution, own(toneCaution, "rejected")
	case op.Decision != journal.Approved && op.N > 0:
		word, t := decisionWord(op.Decision)
		return "✗ ", toneDanger, own(t, word)
	case op.ExitCode != nil && *op.ExitCode != 0:
		mark, t, end = "✗ ", toneDanger, format(toneDanger, "exit %d", *op.ExitCode)
	case op.ExitCode != nil:
		mark, t, end = "✓ ", toneSafe, own(toneSafe, "exit 0")
	case !op.Finished.IsZero():
		mark, t, end = "✓ ", toneSafe, own(toneSafe, "made")
	case op.Started.IsZero():
		mark, t, end = "· ", toneCaution, own(toneCaution, "approved, starts")
	default:
		mark, t, end = "· ", toneCaution, own(toneCaution, "approved, runs")
	}
	if o.told != nil {
		end = join(end, own(tonePlain, " · "), o.told)
	}
	return mark, t, end
}
