package tui

import (
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
)

// TestEveryFieldOfADigestIsOnTheScreenAndInLines changes one field after the other that an operation's digest covers, and
// looks for the change on the operation's screen and in what RunPlain writes.
func TestEveryFieldOfADigestIsOnTheScreenAndInLines(t *testing.T) {
	page := func(op *journal.Operation) string {
		s := journaltest.Session(*op)
		from := newContents(newFake())
		p := describe(&s, op, true, from)
		if from.load() {
			p = describe(&s, op, true, from)
		}
		var b strings.Builder
		for _, q := range p.paragraphs {
			b.WriteString(q.gutter.plain() + q.text.plain() + "\n")
		}
		return journaltest.WithoutDigests(b.String(), op)
	}
	written := func(op *journal.Operation) string {
		var b strings.Builder
		p := &plain{o: Options{Backend: newFake(journaltest.Session(*op)), Identity: alice, Window: Size{200, 24}, Now: func() time.Time { return start }}, out: &b}
		p.session, p.op = journaltest.Session(*op), 1
		p.tellOperation(true)
		return journaltest.WithoutDigests(b.String(), op)
	}
	for _, o := range journaltest.Operations() {
		screen, lines := page(&o.Op), written(&o.Op)
		for _, c := range journaltest.Changed(o.Op) {
			if page(&c.Op) == screen {
				t.Errorf("%s: its digest covers %s, and the screen does not show it:\n%s", o.Name, c.Name, screen)
			}
			if written(&c.Op) == lines {
				t.Errorf("%s: its digest covers %s, and no line says it:\n%s", o.Name, c.Name, lines)
			}
		}
	}
}
