package audit

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"shannot-gateway/approvals/render"
)

// redacted stands for a secret.
const redacted = "[redacted]"

// maxPatterns and maxPattern bound what a configuration may give, in number and bytes.
const (
	maxPatterns = 100
	maxPattern  = 1000
)

// secretWords are what the names of secrets contain.
const secretWords = `(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?|auth[-_]?key)`

// rule is a pattern with what a text must hold, in lower case, for the pattern to be worth a try; nothing for always.
type rule struct {
	pattern string
	holds   []string
}

// builtin finds secrets in texts as people write them. Of each match the groups are the secrets. A text may be cut at
// any place, so that a quote need not end.
func builtin() []rule {
	const value = `('[^']*(?:'|$)|"[^"]*(?:"|$)|[^\s'"]\S*)`
	names := []string{"pass", "pwd", "secret", "token", "key", "credential"}
	return []rule{
		// NAME=value, NAME: value, "name":"value", --name=value
		{`(?i)` + secretWords + `[\w-]*["']?\s?[=:]\s?` + value, names},
		// --name value
		{`(?i)(?:^|\s)--?[\w-]*` + secretWords + `[\w-]*\s+` + value, names},
		{`(?i)authorization["']?\s*[:=]\s*((?:[a-z]+\s+)?[^\s'"]+)`, []string{"authorization"}},
		{`(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})`, []string{"bearer", "basic"}},
		// mysql -pSECRET and those of its family; sshpass -p SECRET; curl -u user:secret
		{`(?:^|[\s/;|&])(?:mysql|mariadb)[\w-]*\s(?:[^|;&]*\s)?-p('[^']*(?:'|$)|[^\s'"]\S*)`, []string{"mysql", "mariadb"}},
		{`(?:^|[\s/;|&])sshpass\s(?:[^|;&]*\s)?-p\s*` + value, []string{"sshpass"}},
		{`(?:^|[\s/;|&])(?:curl|wget|http)\s(?:[^|;&]*\s)?(?:-u|--user|--proxy-user)[\s=]*` + value, []string{"curl", "wget", "http"}},
		// scheme://user:secret@host
		{`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@`, []string{"://"}},
		// keys that are known by how they look
		{`\b((?:AKIA|ASIA)[A-Z0-9]{16})\b`, []string{"akia", "asia"}},
		{`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[\w-]{20,}|xox[abposr]-[\w-]{10,}|sk-[\w-]{20,})`,
			[]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk-"}},
		{`\b(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)`, []string{"eyj"}},
		{`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|$)`, []string{"private key"}},
	}
}

// Patterns of whole arguments, where a secret may have blanks.
var (
	secretArgument = regexp.MustCompile(`(?is)^(-{0,2}[\w.-]*` + secretWords + `[\w-]*[=:])(.*)$`)
	secretFlag     = regexp.MustCompile(`(?i)^--?[\w-]*` + secretWords + `[\w-]*$`)
)

// maxSearch is how much of a text is searched, in bytes; the rest is left out. It is more than a line takes, since what
// is taken out makes room.
const maxSearch = 2 * maxText

// Redactor takes secrets out of texts. A nil one takes out nothing.
type Redactor struct{ patterns []pattern }

type pattern struct {
	*regexp.Regexp
	holds []string
}

// NewRedactor makes one of the built-in patterns and more, in the syntax of Go's regexp. What a pattern's groups match
// is taken out, or the whole match where it has none. The error names the pattern.
func NewRedactor(more []string) (*Redactor, error) {
	if len(more) > maxPatterns {
		return nil, fmt.Errorf("there are more than %d patterns", maxPatterns)
	}
	rules := builtin()
	for _, p := range more {
		rules = append(rules, rule{pattern: p})
	}
	r := &Redactor{}
	for _, p := range rules {
		if len(p.pattern) > maxPattern {
			return nil, fmt.Errorf("pattern %.40q… has more than %d bytes", p.pattern, maxPattern)
		}
		re, err := regexp.Compile(p.pattern)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p.pattern, err)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("pattern %q matches everywhere", p.pattern)
		}
		r.patterns = append(r.patterns, pattern{re, p.holds})
	}
	return r, nil
}

// Text returns a text without the secrets in it. Of a text that is longer than is searched the rest is left out.
func (r *Redactor) Text(text string) string {
	if r == nil || text == "" {
		return text
	}
	text = shorten(text, maxSearch)
	lower := strings.ToLower(text)
	for _, p := range r.patterns {
		if len(p.holds) == 0 || slices.ContainsFunc(p.holds, func(s string) bool { return strings.Contains(lower, s) }) {
			text = redactMatches(p.Regexp, text)
		}
	}
	return text
}

func redactMatches(p *regexp.Regexp, text string) string {
	matches := p.FindAllStringSubmatchIndex(text, -1)
	if len(matches) == 0 {
		return text
	}
	var out strings.Builder
	at := 0
	take := func(from, to int) {
		// A group that did not match, or one within another, or one that was taken out already.
		if from < at || from == to || strings.HasPrefix(text[from:to], redacted) {
			return
		}
		out.WriteString(text[at:from])
		out.WriteString(redacted)
		at = to
	}
	for _, m := range matches {
		if len(m) == 2 {
			take(m[0], m[1])
		}
		for i := 2; i < len(m); i += 2 {
			take(m[i], m[i+1])
		}
	}
	out.WriteString(text[at:])
	return out.String()
}

// Argv returns a copy of arguments without the secrets in them, each taken as the whole that it is. Of arguments that
// are more than is searched the rest is left out.
func (r *Redactor) Argv(argv []string) []string {
	var out []string
	size := 0
	for i, a := range argv {
		if size > maxSearch {
			return append(out, string(render.Mark))
		}
		size += len(a) + 1
		switch {
		case r == nil:
		case i > 0 && secretFlag.MatchString(shorten(argv[i-1], maxFlag)):
			a = redacted
		case i > 1 && flagOfPassword(argv[0], argv[i-1]):
			a = redacted
		case i > 0 && secretArgument.MatchString(shorten(a, maxFlag)):
			a = secretArgument.ReplaceAllString(shorten(a, maxFlag), "${1}"+redacted)
		default:
			a = r.Text(a)
		}
		out = append(out, a)
	}
	return out
}

// maxFlag is how much of an argument is looked at for the name of a secret, in bytes.
const maxFlag = 1 << 10

// flagOfPassword reports whether a program's short flag takes a secret as its next argument.
func flagOfPassword(program, flag string) bool {
	switch filepath.Base(program) {
	case "sshpass":
		return flag == "-p"
	case "curl", "wget", "http":
		return flag == "-u" || flag == "--user" || flag == "--proxy-user"
	}
	return false
}

// event takes secrets out of every text of an event.
func (r *Redactor) event(e *Event) {
	for _, s := range e.texts() {
		*s = r.Text(*s)
	}
}
