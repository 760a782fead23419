package tui

import (
	"strings"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// maxQuery bounds what is typed to find something, in bytes.
const maxQuery = 200

// prompt is one line at the bottom of the screen, in which the human types what to look for.
type prompt struct {
	field field
	open  bool
}

// text is what was typed, without blanks around it.
func (p *prompt) text() string { return strings.TrimSpace(p.field.text) }

// line is the prompt as it is shown.
func (p *prompt) line(words render.Words) line {
	l := join(own(toneKey, words), shown(tonePlain, p.field.text))
	if p.open {
		l = append(l, span{toneKey, render.Own("█")})
	}
	return l
}

// query is a filter of the list: words that must all match. A word is found anywhere in what the list knows about a
// session; FIELD:WORD looks in one field, and a ! before either leaves out what matches.
type query []term

type term struct {
	field string // "" for any
	word  string // in lower case
	not   bool
}

// queryFields are the fields that a query may name.
var queryFields = []string{"risk", "agent", "target", "as", "status", "by", "id", "group", "name"}

// ofGroup is a query for the sessions of a group, as it would be typed.
func ofGroup(id string) prompt { return prompt{field: field{text: "group:" + id, limit: maxQuery}} }

// parseQuery reads what was typed.
func parseQuery(text string) query {
	var q query
	for _, w := range strings.Fields(strings.ToLower(text)) {
		t := term{word: w}
		if rest, ok := strings.CutPrefix(w, "!"); ok && rest != "" {
			t.word, t.not = rest, true
		}
		for _, f := range queryFields {
			if rest, ok := strings.CutPrefix(t.word, f+":"); ok {
				t.field, t.word = f, rest
				break
			}
		}
		q = append(q, t)
	}
	return q
}

// matches reports whether the session is one that the query looks for.
func (q query) matches(r *summary) bool {
	for _, t := range q {
		if strings.Contains(r.searchable(t.field), t.word) == t.not {
			return false
		}
	}
	return true
}

// searchable is the text of a field in lower case, or of all of them for "".
func (r *summary) searchable(field string) string {
	switch field {
	case "risk":
		return strings.ToLower(string(riskWord(r.risk)))
	case "agent":
		return strings.ToLower(r.agent)
	case "target":
		return strings.ToLower(r.target)
	case "as":
		return strings.ToLower(r.runAs)
	case "status":
		return strings.ToLower(string(r.status) + " " + string(statusWord(r.status)))
	case "by":
		return strings.ToLower(r.by)
	case "id":
		return r.id
	case "group":
		return r.group
	case "name":
		return strings.ToLower(r.name)
	}
	if r.words == "" {
		r.words = strings.ToLower(strings.Join([]string{
			r.id, r.group, r.agent, r.target, r.runAs, string(riskWord(r.risk)), string(statusWord(r.status)), r.by, r.name, r.what.plain(),
		}, "\n"))
	}
	return r.words
}

// outcome is how a decided session ended, in words that say whether anything ran.
func outcome(s *journal.Session) string {
	ran := false
	for i := range s.Operations {
		ran = ran || !s.Operations[i].Started.IsZero()
	}
	if !ran && len(s.Operations) > 0 {
		return "nothing ran"
	}
	return ""
}
