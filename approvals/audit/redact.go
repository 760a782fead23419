package audit

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
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

// builtin finds secrets in texts as people write them. Of each match the groups are the secrets.
func builtin() []string {
	const value = `('[^']*'|"[^"]*"|[^\s'"]\S*)`
	return []string{
		// NAME=value, NAME: value, "name":"value", --name=value
		`(?i)[\w.-]*` + secretWords + `[\w-]*["']?\s?[=:]\s?` + value,
		// --name value
		`(?i)(?:^|\s)--?[\w-]*` + secretWords + `[\w-]*\s+` + value,
		`(?i)authorization["']?\s*[:=]\s*((?:[a-z]+\s+)?[^\s'"]+)`,
		`(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})`,
		// mysql -pSECRET and those of its family; sshpass -p SECRET; curl -u user:secret
		`(?:^|[\s/;|&])(?:mysql|mariadb)[\w-]*\s(?:[^|;&]*\s)?-p('[^']*'|[^\s'"]\S*)`,
		`(?:^|[\s/;|&])sshpass\s(?:[^|;&]*\s)?-p\s*` + value,
		`(?:^|[\s/;|&])(?:curl|wget|http)\s(?:[^|;&]*\s)?(?:-u|--user|--proxy-user)[\s=]*` + value,
		// scheme://user:secret@host
		`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@`,
		// keys that are known by how they look
		`\b((?:AKIA|ASIA)[A-Z0-9]{16})\b`,
		`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[\w-]{20,}|xox[abposr]-[\w-]{10,}|sk-[\w-]{20,})`,
		`\b(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)`,
		`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|$)`,
	}
}

// Patterns of whole arguments, where a secret may have blanks.
var (
	secretArgument = regexp.MustCompile(`(?is)^(-{0,2}[\w.-]*` + secretWords + `[\w-]*[=:])(.*)$`)
	secretFlag     = regexp.MustCompile(`(?i)^--?[\w-]*` + secretWords + `[\w-]*$`)
)

// Redactor takes secrets out of texts. A nil one takes out nothing.
type Redactor struct{ patterns []*regexp.Regexp }

// NewRedactor makes one of the built-in patterns and more, in the syntax of Go's regexp. What a pattern's groups match
// is taken out, or the whole match where it has none. The error names the pattern.
func NewRedactor(more []string) (*Redactor, error) {
	if len(more) > maxPatterns {
		return nil, fmt.Errorf("there are more than %d patterns", maxPatterns)
	}
	r := &Redactor{}
	for _, p := range append(builtin(), more...) {
		if len(p) > maxPattern {
			return nil, fmt.Errorf("pattern %.40q… has more than %d bytes", p, maxPattern)
		}
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("pattern %q matches everywhere", p)
		}
		r.patterns = append(r.patterns, re)
	}
	return r, nil
}

// Text returns a text without the secrets in it.
func (r *Redactor) Text(text string) string {
	if r == nil {
		return text
	}
	for _, p := range r.patterns {
		text = redactMatches(p, text)
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

// Argv returns a copy of arguments without the secrets in them, each taken as the whole that it is.
func (r *Redactor) Argv(argv []string) []string {
	out := make([]string, len(argv))
	copy(out, argv)
	if r == nil {
		return out
	}
	for i, a := range argv {
		switch {
		case i > 0 && secretFlag.MatchString(argv[i-1]):
			out[i] = redacted
		case i > 1 && flagOfPassword(argv[0], argv[i-1]):
			out[i] = redacted
		case i > 0 && secretArgument.MatchString(a):
			out[i] = secretArgument.ReplaceAllString(a, "${1}"+redacted)
		default:
			out[i] = r.Text(a)
		}
	}
	return out
}

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
