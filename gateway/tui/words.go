package tui

import (
	"fmt"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// maxWhat bounds what the lists render of one operation, in bytes; a screen is never that wide.
const maxWhat = 1 << 10

// what is the operation in one line, for lists: its beginning is enough there, and what is left out is marked.
func what(op *journal.Operation, t tone) line {
	if op.Command == nil { // rendered when it was recorded
		l := line{{t, render.Stored(clip(op.Summary, maxWhat))}}
		if len(op.Summary) > maxWhat {
			l = append(l, span{toneMark, render.Own("…")})
		}
		return l
	}
	if text, ok := journal.ShellText(op.Command.Argv); ok {
		return join(own(t, "$ "), beginning(t, text))
	}
	var argv []string
	room := maxWhat
	for _, arg := range op.Command.Argv {
		if room -= len(arg) + 1; room < 0 {
			argv = append(argv, clip(arg, room+len(arg)+1))
			return line{{t, render.Argv(argv)}, {toneMark, render.Own("…")}}
		}
		argv = append(argv, arg)
	}
	return line{{t, render.Argv(argv)}}
}

// beginning is as much of an untrusted text as a list may need.
func beginning(t tone, untrusted string) line {
	if len(untrusted) <= maxWhat {
		return shown(t, untrusted)
	}
	return append(shown(t, clip(untrusted, maxWhat)), span{toneMark, render.Own("…")})
}

// clip returns at most n bytes of s, without half a character at its end.
func clip(s string, n int) string {
	n = max(min(n, len(s)), 0)
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// decisionLine says what was decided, by whom and when, and what came of it.
func decisionLine(op *journal.Operation) line {
	word, t := decisionWord(op.Decision)
	l := own(t, word)
	if op.By != "" {
		l = join(l, own(tonePlain, " by "), shown(tonePlain, op.By))
	}
	if !op.Decided.IsZero() {
		l = join(l, format(toneDim, " %s", clock(op.Decided)))
	}
	switch {
	case !op.Decision.Explained().Empty():
		l = join(l, own(toneCaution, " · "), line{{toneCaution, op.Decision.Explained()}})
	case op.ExitCode != nil:
		l = join(l, format(tonePlain, " · exit %d", *op.ExitCode))
	case !op.Started.IsZero() && op.Finished.IsZero():
		l = join(l, own(tonePlain, " · runs"))
	}
	return l
}

// decisionWord is a decision as the screen says it.
func decisionWord(d journal.Decision) (render.Words, tone) {
	switch d {
	case journal.Waiting:
		return "WAITS", toneCaution
	case journal.Allowed:
		return "allowed", toneSafe
	case journal.Approved:
		return "approved", toneSafe
	case journal.Denied:
		return "denied", toneDanger
	case journal.Rejected:
		return "rejected", toneDanger
	case journal.Expired:
		return "expired", toneDim
	case journal.Cancelled:
		return "cancelled", toneDim
	case journal.Planned:
		return "planned", toneDim
	case journal.Conflicted:
		return "CONFLICT", toneDanger
	case journal.Failed:
		return "FAILED", toneDanger
	case journal.Unknown:
		return "UNKNOWN", toneCaution
	}
	return "UNKNOWN", toneCaution
}

// clock is a time of day, the same for every viewer.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// pad fills words with spaces up to width, and always ends in one.
func pad(words render.Words, width int) render.Words {
	return words + render.Blanks(max(width-cells(string(words)), 1))
}

// padded is text in a tone with blanks up to a width, at least one.
func padded(t tone, text render.Text, width int) line {
	return line{{t, render.Format("%s%s", text, render.Blanks(max(width-cells(text.String()), 1)))}}
}

// place says where and as whom.
func place(target, runAs string) line {
	l := shown(toneStrong, target)
	if runAs != "" {
		l = join(l, own(tonePlain, " as "), shown(toneStrong, runAs))
	}
	return l
}

// lasting says how a session waits: for how long it has, whether its script is alive, and what happens when nobody decides. A width
// below roomyWidth leaves out what can be read elsewhere.
func lasting(now time.Time, status journal.Status, attended bool, since, deadline time.Time, width int) line {
	var l line
	roomy := width >= roomyWidth
	ends := render.Words("parks")
	switch status {
	case journal.StatusParked:
		l, ends = own(toneCaution, "PARKED"), "expires"
		if roomy {
			l = join(l, own(tonePlain, " · agent gone · runs again from its start when approved"))
		}
	case journal.StatusHeld:
		l = format(tonePlain, "waits %s", duration(now.Sub(since)))
		switch {
		case !roomy:
		case attended:
			l = join(l, own(tonePlain, " · agent connected"))
		default:
			l = join(l, own(toneCaution, " · agent gone"))
		}
	default:
		return nil
	}
	if deadline.IsZero() {
		return l
	}
	d := deadline.Sub(now)
	switch {
	case d <= 0:
		return join(l, own(tonePlain, " · "), own(toneDanger, "its time is up: it "+ends+" now"))
	case d < time.Minute:
		return join(l, own(tonePlain, " · "), soon(toneDanger, d, ends, roomy))
	}
	return join(l, own(tonePlain, " · "), soon(tonePlain, d, ends, roomy))
}

// soon says what happens when a time is over.
func soon(t tone, d time.Duration, what render.Words, roomy bool) line {
	if !roomy {
		return format(t, "%s in %s", what, duration(d))
	}
	return format(t, "%s until it %s", duration(d), what)
}

// waitingSince is when a session began to wait.
func waitingSince(s *journal.Session) time.Time {
	if i := firstWaiting(s); i >= 0 && s.Operations[i].Created.After(s.Created) {
		return s.Operations[i].Created
	}
	return s.Created
}

// duration is a length of time in its largest unit.
func duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
