package journal_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
)

func TestEveryFieldOfADigestHasADetail(t *testing.T) {
	covered := map[bool][]string{} // by details of any kind of change, and of a command
	for _, o := range journaltest.Operations() {
		for _, d := range o.Op.Details() {
			covered[o.Op.File != nil] = append(covered[o.Op.File != nil], d.Covers...)
		}
	}
	for _, o := range journaltest.Operations() {
		for _, name := range o.Op.Covered() {
			if !slices.Contains(covered[o.Op.File != nil], name) {
				t.Errorf("%s: the digest covers %s, and no detail does", o.Name, name)
			}
		}
	}
}

func TestEveryChangeOfADigestChangesADetail(t *testing.T) {
	rows := func(op *journal.Operation) string {
		var b strings.Builder
		for _, d := range op.Details() {
			for row := range d.Rows() {
				b.WriteString(row.Label + ": " + row.Text.String() + "\n")
			}
		}
		return journaltest.WithoutDigests(b.String(), op)
	}
	for _, o := range journaltest.Operations() {
		before := rows(&o.Op)
		changed := journaltest.Changed(o.Op)
		if len(changed) < 11 {
			t.Errorf("%s: only %d fields change its digest", o.Name, len(changed))
		}
		for _, c := range changed {
			if rows(&c.Op) == before {
				t.Errorf("%s: its digest covers %s, and no detail shows it:\n%s", o.Name, c.Name, before)
			}
		}
	}
}

func TestDetailsAreSafeToPrint(t *testing.T) {
	for _, o := range journaltest.Operations() {
		for _, text := range []string{"\x1b[2J", "a\nb", "\u202e", "\xff"} {
			op := o.Op
			op.Why, op.Summary, op.By, op.ByKey, op.Reason, op.Digest, op.Effect, op.Undo = text, text, text, text, text, text, text, text
			if c := op.Command; c != nil {
				c.Target, c.RunAs, c.Path, c.Dir, c.Input, c.InputSHA256 = text, text, text, text, text, text
				c.Argv, c.Env, c.EnvChanges, c.InputData, c.Before = []string{text}, []string{text}, []string{text}, []byte(text), []string{text}
			}
			if f := op.File; f != nil {
				f.Target, f.RunAs, f.Path, f.To, f.SHA256, f.Lost = text, text, journal.Exact(text), journal.Exact(text), text, text
				f.Was = &journal.FileState{Link: journal.Exact(text), SHA256: text}
			}
			for _, d := range op.Details() {
				for row := range d.Rows() {
					if printed := row.Label + row.Text.String(); strings.ContainsAny(printed, "\x1b\n\u202e") || !utf8.ValidString(printed) {
						t.Errorf("%s, %s: %q", o.Name, d.Name, printed)
					}
				}
			}
		}
	}
}
