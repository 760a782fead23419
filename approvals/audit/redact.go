package audit

import (
	"fmt"
	"iter"
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
const secretWords = `(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|private|auth|encryption|signing|shared|master|account|storage|client|license)[-_]?key|credentials?|session[-_]?id|jwt)` // #nosec G101 -- names of secrets, and none itself

// headerNames are the HTTP headers whose values are secrets, or may be.
const headerNames = `(?:(?:set-)?cookie2?|x-[\w-]+|(?:proxy-)?authorization)`

// rule is a pattern with what a text must hold, in lower case, for the pattern to be worth a try; nothing for always.
type rule struct {
	pattern string
	holds   []string
	// within finds the secrets in what the pattern's group matches, "" where the groups are the secrets.
	within string
}

// builtin finds secrets in texts as people write them. Of each match the groups are the secrets. A text may be cut at any
// place, so a quote need not end.
func builtin() []rule {
	const word = `('[^']*(?:'|$)|"[^"]*(?:"|$)|[^\s'"<>|;&-]\S*)` // of a shell, no flag
	const value = `(<\([^)]*(?:\)|$)|'[^']*(?:'|$)|"[^"]*(?:"|$)|\\+"[^"]*(?:"|$)|[^\s'"]\S*)`
	const words = `((?:'[^']*(?:'|$)|"[^"]*(?:"|$)|[^|'"])*?)` // up to a pipe
	names := []string{"pass", "pwd", "secret", "token", "key", "credential", "session", "jwt"}
	return append([]rule{
		// A header in quotes has blanks in its value, and one without ends with the word.
		{`(?i)["']` + headerNames + `\s*:\s*([^'"]+)`, []string{"cookie", "x-"}, ""},
		{`(?i)(?:^|[\s=])(?:-H)?` + headerNames + `:\s*([^\s'"]+)`, []string{"cookie", "x-"}, ""},
		// "name": {…} and [ … ], also within another quoting
		{`(?i)` + secretWords + `[\w-]*\\*["']\s*:\s*([{[][^}\]]*(?:[}\]]|$))`, names, ""},
		{`(?i)\\*["']auth\\*["']\s*:\s*` + value, []string{"auth"}, ""},
		// NAME=value, NAME: value, "name":"value", --name=value
		{`(?i)` + secretWords + `[\w-]*\\*["']?\]?\s*[=:]\s*` + value, names, ""}, // also x['name'] = value
		// --name value
		{`(?i)(?:^|\s)--?[\w-]*` + secretWords + `[\w-]*\s+` + word, names, ""},
		// set NAME value, as command lines that keep a configuration have it
		{`(?i)\bset\s+(?:\S+\s+)?\S*(?:` + secretWords + `|_auth)[\w-]*[\s=]+` + word, append([]string{"_auth"}, names...), ""},
		// SQL, .netrc and the like, where a word stands before the secret
		{`(?i)\bidentified\s+(?:with\s+\S+\s+)?by\s+(?:password\s+)?` + value, []string{"identified"}, ""},
		{`(?i)\b(?:user|role|login|mysqladmin|nmcli)\b[^\n|;&]*\s(?:password|wifi-sec\.psk)\s+` + word, []string{"password", "psk"}, ""},
		{`(?i)["'](?:pin|otp|psk)\\*["']\s*:\s*` + value, []string{"pin", "otp", "psk"}, ""},
		// of an address: ?key=value
		{`(?i)[?&](?:key|sig|signature|auth)=([^&\s'"]+)`, []string{"key=", "sig", "auth="}, ""},
		{`(?i)authorization["']?\s*[:=]\s*((?:[a-z]+\s+)?[^\s'"]+)`, []string{"authorization"}, ""},
		// what is printed into a program that reads a secret, or given to it as a here-string or here-document
		{`(?:echo|printf|yes)\s` + words + `\|\s*(?:[^|;&]*[\s/])?` + secretReaders, readerNames, ""},
		{secretReaders + `[^|;&\n]*?<<<\s*` + value, readerNames, ""},
		{`(?s)` + secretReaders + `[^|;&\n]*?<<-?[^<\n][^\n]*\n(.*)`, readerNames, ""},
		{`(?s)<<-?[^<\n|]*\|\s*(?:[^|;&\n]*[\s/])?` + secretReaders + `[^\n]*\n(.*)`, readerNames, ""}, // cat <<EOF | READER
		{`(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})`, []string{"bearer", "basic"}, ""},
		// htpasswd -b FILE USER SECRET
		{`(?:^|[\s/;|&])htpasswd\s(?:-\w+\s+)*-\w*b\w*\s+(?:-\w+\s+)*\S+\s+\S+\s+` + value, []string{"htpasswd"}, ""},
		{`(?:^|[\s/;|&])htpasswd\s(?:-\w+\s+)*-\w*n\w*b\w*\s+(?:-\w+\s+)*\S+\s+` + value, []string{"htpasswd"}, ""},
		{`(?:^|[\s/;|&])htpasswd\s(?:-\w+\s+)*-\w*b\w*n\w*\s+(?:-\w+\s+)*\S+\s+` + value, []string{"htpasswd"}, ""},
		// programs that take a secret as one of their words
		{`(?:^|[\s/;|&])rabbitmqctl\s(?:\S+\s+)*?(?:add_user|change_password|authenticate_user)\s+\S+\s+` + word, []string{"rabbitmqctl"}, ""},
		{`(?:^|[\s/;|&])wpa_passphrase\s+(?:'[^']*'|"[^"]*"|\S+)\s+` + word, []string{"wpa_passphrase"}, ""},
		{`(?:^|[\s/;|&])openssl\s+passwd\s+(?:-\S+\s+)*` + word, []string{"openssl"}, ""},
		{`(?:^|[\s/;|&])vault\s+login\s+(?:-\S+\s+)*` + word, []string{"vault"}, ""},
		{`(?:^|[\s/;|&])sqlplus\s(?:-\S+\s+)*[^\s/@]+/([^\s@'"]+)`, []string{"sqlplus"}, ""},
		{`\bpass:` + value, []string{"pass:"}, ""}, // openssl -passin pass:SECRET
		// scheme://user:secret@host
		{`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@`, []string{"://"}, ""},
		// keys that are known by how they look
		{`\b((?:AKIA|ASIA)[A-Z0-9]{16})\b`, []string{"akia", "asia"}, ""},
		{`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[\w-]{20,}|xox[abposr]-[\w-]{10,}|sk-[\w-]{20,})`,
			[]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk-"}, ""},
		{`\b(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)`, []string{"eyj"}, ""},
		{`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|$)`, []string{"private key"}, ""},
	}, flagRules(value)...)
}

// secretReaders are programs that read a secret from their standard input.
const secretReaders = `(?:chpasswd|passwd|smbpasswd|htpasswd|sudo\s(?:[^|;&]*\s)?-\w*S\w*|cryptsetup|kinit|gpg|su|[^|;&]*--password-stdin|[^|;&]*--stdin|[^|;&]*--passphrase-fd[\s=]0|[^|;&]*--with-token)\b`

// readerNames are what a text with one of them holds.
var readerNames = []string{"passwd", "sudo", "cryptsetup", "kinit", "gpg", "su ", "-stdin", "passphrase-fd", "--with-token"}

// A secretFlag is a flag of some programs that a secret follows, in the next word or in the same one.
type programFlags struct {
	programs []string // as their names begin, the first word of which tells that a text may hold one
	flags    []string
	attached bool // only in the same word: the next one is something else
	sub      string
}

// programsWithSecrets are the programs whose flags say nothing of a secret by their names.
var programsWithSecrets = []programFlags{
	{programs: []string{"mysql", "mariadb"}, flags: []string{"-p"}, attached: true},
	{programs: []string{"7z", "7za", "7zr", "7zz", "rar", "unrar"}, flags: []string{"-p", "-hp"}, attached: true},
	{programs: []string{"sshpass"}, flags: []string{"-p"}},
	{programs: []string{"curl", "wget", "http"}, flags: []string{"-u", "--user", "--proxy-user", "-U", "-b", "--cookie"}},
	{programs: []string{"docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oc", "az", "cf", "crane", "oras"}, flags: []string{"-p"}, sub: "login"},
	{programs: []string{"zip", "unzip", "zipcloak", "ipmitool", "sqlcmd", "bcp"}, flags: []string{"-P"}},
	{programs: []string{"mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"}, flags: []string{"-p"}},
	{programs: []string{"redis-cli", "valkey-cli"}, flags: []string{"-a"}},
	{programs: []string{"ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldappasswd", "ldapwhoami"}, flags: []string{"-w"}},
	{programs: []string{"smbclient", "rpcclient", "net"}, flags: []string{"-U", "--user"}},
	{programs: []string{"useradd", "usermod", "groupadd", "groupmod"}, flags: []string{"-p"}},
	{programs: []string{"snmpget", "snmpwalk", "snmpbulkwalk", "snmpset"}, flags: []string{"-A", "-X", "-c"}},
	{programs: []string{"lftp"}, flags: []string{"-u"}},
	{programs: []string{"ssh-keygen"}, flags: []string{"-N", "-P"}},
	{programs: []string{"twine"}, flags: []string{"-p"}},
	{programs: []string{"etcdctl"}, flags: []string{"--user"}},
	{programs: []string{"zip", "zipcloak"}, flags: []string{"-rP", "-eP", "-erP", "-reP", "-jP", "-qP", "-rqP", "-qrP"}},
	{programs: []string{"openssl"}, flags: []string{"-k", "-K"}},
}

// flagRules are the patterns of programsWithSecrets.
func flagRules(value string) (rules []rule) {
	for _, p := range programsWithSecrets {
		quoted := make([]string, len(p.flags))
		for i, f := range p.flags {
			quoted[i] = regexp.QuoteMeta(f)
		}
		const words = `(\s(?:'[^']*(?:'|$)|"[^"]*(?:"|$)|[^|;&'"])*)` // up to the end of the command
		program := `(?:^|[\s/;|&('"])(?:` + strings.Join(p.programs, "|") + `)`
		flag := `\s(?:` + strings.Join(quoted, "|") + `)`
		if p.attached {
			program += `[\w-]*` + words
			flag += `('[^']*(?:'|$)|"[^"]*(?:"|$)|[^\s'"]\S*)`
		} else {
			program += `(?:\.\w+)?`
			if p.sub != "" {
				program += `\s(?:[^|;&]*\s)?` + p.sub
			}
			program += words
			flag += `[\s=]*` + value
		}
		rules = append(rules, rule{program, p.programs, flag})
	}
	return rules
}

// Patterns of whole arguments, where a secret may have blanks.
var (
	secretArgument = regexp.MustCompile(`(?is)^(-{0,2}[\w.-]*` + secretWords + `[\w-]*[=:]|(?:-H|--header=)?` + headerNames + `\s*:|pass:)(.*)$`)
	secretFlag     = regexp.MustCompile(`(?i)^--?[\w-]*` + secretWords + `[\w-]*$`)
)

// maxSearch is how much of a text a redactor searches, in bytes; it leaves out the rest. It is more than a line takes,
// since what it takes out makes room.
const maxSearch = 2 * maxText

// Redactor takes secrets out of texts. A nil one takes out nothing.
type Redactor struct{ patterns []pattern }

type pattern struct {
	*regexp.Regexp
	holds  []string
	within *regexp.Regexp // nil where the groups are the secrets
}

// NewRedactor makes a redactor of the built-in patterns and more, in the syntax of Go's regexp. It takes out what a
// pattern's groups match, or the whole match where the pattern has no group. The error names the pattern.
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
		compiled := pattern{Regexp: re, holds: p.holds}
		if p.within != "" {
			compiled.within = regexp.MustCompile(p.within)
		}
		r.patterns = append(r.patterns, compiled)
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
			text = p.redact(text)
		}
	}
	return text
}

func (p pattern) redact(text string) string {
	if p.within == nil {
		return redactMatches(p.Regexp, text)
	}
	var out strings.Builder
	at := 0
	for _, m := range p.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(text[at:m[2]])
		out.WriteString(redactMatches(p.within, text[m[2]:m[3]]))
		at = m[3]
	}
	out.WriteString(text[at:])
	return out.String()
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

// Argv returns a copy of arguments without the secrets in them. It searches each as a whole. Of arguments longer than it
// searches, it leaves out the rest.
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
		case i > 0 && secretFlag.MatchString(shorten(argv[i-1], maxFlag)): // #nosec G602 -- i is more than 0
			a = redacted
		case i > 1 && flagOfPassword(argv[:i]):
			a = redacted
		case i > 0 && attachedSecret(argv[:i], a) != "":
			a = attachedSecret(argv[:i], a) + redacted
		case i > 0 && i <= maxPlaces && r.secretPlace(argv[:i], a):
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

// placed are the programs that take a secret as one of their words, which only the words before it tell.
var placed = []string{"htpasswd", "rabbitmqctl", "wpa_passphrase", "openssl", "vault", "mysqladmin", "nmcli", "aws", "npm", "sqlplus"}

// maxPlaces is how many words of such a program are looked at, which have a secret among the first ones.
const maxPlaces = 32

// secretPlace reports whether a word is a secret by what stands before it: the line up to it ends with one.
func (r *Redactor) secretPlace(before []string, word string) bool {
	if !slices.Contains(placed, filepath.Base(before[0])) || word == "" || strings.HasPrefix(word, "-") {
		return false
	}
	line := make([]string, 0, len(before))
	for _, w := range before {
		line = append(line, strings.Join(strings.Fields(shorten(w, maxFlag)), "_"))
	}
	const secret = "x" // whatever it is, it is one word
	return strings.HasSuffix(r.Text(strings.Join(line, " ")+" "+secret), " "+redacted)
}

// maxFlag is how much of an argument is looked at for the name of a secret, in bytes.
const maxFlag = 1 << 10

// flagOfPassword reports whether the last of a program's words is a flag that takes a secret as its next one.
func flagOfPassword(argv []string) bool {
	for p := range flagsOf(argv) {
		if !p.attached && slices.Contains(p.flags, argv[len(argv)-1]) {
			return true
		}
	}
	return false
}

// attachedSecret is the flag that a secret is attached to in a word that follows others of a program, "" for none.
func attachedSecret(before []string, word string) string {
	for p := range flagsOf(before) {
		for _, f := range p.flags {
			if len(word) > len(f) && strings.HasPrefix(word, f) && !strings.HasPrefix(f, "--") {
				return f
			}
		}
	}
	return ""
}

// flagsOf are the rows of programsWithSecrets that are about a program with these first words.
func flagsOf(argv []string) iter.Seq[programFlags] {
	return func(yield func(programFlags) bool) {
		program := filepath.Base(argv[0])
		for _, p := range programsWithSecrets {
			named := slices.Contains(p.programs, program) || p.attached && slices.ContainsFunc(p.programs, func(s string) bool { return strings.HasPrefix(program, s) })
			if named && (p.sub == "" || slices.Contains(argv, p.sub)) && !yield(p) {
				return
			}
		}
	}
}

// event takes secrets out of every text of an event.
func (r *Redactor) event(e *Event) {
	for _, s := range e.texts() {
		*s = r.Text(*s)
	}
}
