package shell

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

// maxFormatted bounds what one printf gives, and a width in it, in bytes.
const (
	maxFormatted = 16 << 20
	maxWidth     = 1 << 16
)

// format is printf(1) as bash has it: the text, and what is wrong with the arguments.
func format(spec string, args []string) (text string, complaints []string, err error) {
	p := &printer{args: args}
	for {
		before := len(p.args)
		if err := p.once(spec); err != nil {
			return "", nil, err
		}
		if p.stop || len(p.args) == 0 || len(p.args) == before {
			return p.b.String(), p.complaints, nil
		}
		if p.b.Len() > maxFormatted {
			return "", nil, &Unsupported{What: "so long an output of printf"}
		}
	}
}

type printer struct {
	b          strings.Builder
	args       []string
	stop       bool
	complaints []string
}

func (p *printer) next() (string, bool) {
	if len(p.args) == 0 {
		return "", false
	}
	a := p.args[0]
	p.args = p.args[1:]
	return a, true
}

// once goes through the format once.
func (p *printer) once(spec string) error {
	for i := 0; i < len(spec) && !p.stop; {
		switch spec[i] {
		case '\\':
			n, text, stop := escape(spec[i:], false)
			p.b.WriteString(text)
			p.stop = stop
			i += n
		case '%':
			n, err := p.directive(spec[i:])
			if err != nil {
				return err
			}
			i += n
		default:
			p.b.WriteByte(spec[i])
			i++
		}
	}
	return nil
}

// field is what stands between % and the letter of a directive.
type field struct {
	flags            string
	width, precision int
	precise          bool
}

// verb is the field as Go has it, without a letter.
func (f field) verb() string {
	verb := "%" + f.flags
	if f.width > 0 {
		verb += strconv.Itoa(f.width)
	}
	if f.precise {
		verb += "." + strconv.Itoa(f.precision)
	}
	return verb
}

// count reads a number of a field, or takes one of the arguments for *.
func (p *printer) count(s string) (n, length int, err error) {
	if s != "" && s[0] == '*' {
		a, _ := p.next()
		n, _ = strconv.Atoi(a)
		length = 1
	} else {
		for length < len(s) && s[length] >= '0' && s[length] <= '9' {
			length++
		}
		if length > 0 {
			n, err = strconv.Atoi(s[:length])
		}
	}
	if err != nil || n > maxWidth || n < -maxWidth {
		return 0, 0, &Unsupported{What: "so wide a field of printf"}
	}
	return n, length, nil
}

// field reads what stands before the letter, and its length with the %.
func (p *printer) field(s string) (f field, i int, err error) {
	for i = 1; i < len(s) && strings.IndexByte("-+ #0'", s[i]) >= 0; i++ {
		f.flags += string(s[i])
	}
	width, n, err := p.count(s[i:])
	if err != nil {
		return f, 0, err
	}
	f.width, i = width, i+n
	if width < 0 {
		f.flags, f.width = f.flags+"-", -width
	}
	if i < len(s) && s[i] == '.' {
		if f.precision, n, err = p.count(s[i+1:]); err != nil {
			return f, 0, err
		}
		i += 1 + n
		f.precise = f.precision >= 0
	}
	for i < len(s) && strings.IndexByte("hlLjzt", s[i]) >= 0 {
		i++
	}
	if i == len(s) {
		return f, 0, &Unsupported{What: "the printf format " + s}
	}
	if strings.Contains(f.flags, "'") {
		return f, 0, &Unsupported{What: "the flag ' of printf"}
	}
	return f, i, nil
}

// directive is one %...; it returns its length.
func (p *printer) directive(s string) (int, error) {
	f, i, err := p.field(s)
	if err != nil {
		return 0, err
	}
	switch c := s[i]; c {
	case '%':
		p.b.WriteByte('%')
	case 's', 'b', 'q', 'c':
		p.text(c, f.flags, f.width, f.precision, f.precise)
	case 'd', 'i', 'u', 'o', 'x', 'X':
		p.number(c, f.verb(), f.flags, f.precise)
	case 'f', 'F', 'e', 'E':
		return i + 1, p.float(c, f)
	default:
		return 0, &Unsupported{What: "%" + string(c) + " of printf"}
	}
	return i + 1, nil
}

func (p *printer) float(c byte, f field) error {
	a, given := p.next()
	v, err := strconv.ParseFloat(strings.TrimSpace(a), 64)
	if err != nil && given && a != "" {
		p.complaints = append(p.complaints, a+": invalid number")
	}
	if strings.Contains(f.flags, "#") {
		return &Unsupported{What: "the flag # of %" + string(c) + " of printf"}
	}
	if !f.precise {
		f.precision, f.precise = 6, true
	}
	_, err = fmt.Fprintf(&p.b, f.verb()+strings.ToLower(string(c)), v)
	return err
}

func (p *printer) text(c byte, flags string, width, precision int, precise bool) {
	a, _ := p.next()
	switch c {
	case 'b':
		a, p.stop = unescape(a)
	case 'q':
		a = bashQuote(a)
	case 'c':
		if a != "" {
			a = a[:1]
		} else {
			a = "\x00"
		}
	}
	if precise && precision < len(a) {
		a = a[:precision]
	}
	fill := strings.Repeat(" ", max(0, width-len(a)))
	if strings.Contains(flags, "-") {
		p.b.WriteString(a + fill)
	} else {
		p.b.WriteString(fill + a)
	}
}

func (p *printer) number(c byte, verb, flags string, precise bool) {
	a, _ := p.next()
	v, complaint := integer(a)
	if complaint != "" {
		p.complaints = append(p.complaints, complaint)
	}
	if precise || strings.Contains(flags, "-") { // as C has it, and Go has not
		head := strings.ReplaceAll(flags, "0", "")
		verb = "%" + head + strings.TrimPrefix(verb, "%"+flags)
	}
	switch c {
	case 'd', 'i':
		fmt.Fprintf(&p.b, verb+"d", v)
	case 'u':
		fmt.Fprintf(&p.b, verb+"d", uint64(v)) // #nosec G115 -- as C
	default:
		if c == 'X' && strings.Contains(flags, "#") && v == 0 || strings.Contains(flags, "#") && v == 0 {
			verb = strings.ReplaceAll(verb, "#", "")
		}
		fmt.Fprintf(&p.b, verb+string(c), uint64(v)) // #nosec G115 -- as C
	}
}

// integer is what bash takes for a number.
func integer(a string) (int64, string) {
	if a == "" {
		return 0, ""
	}
	if a[0] == '\'' || a[0] == '"' {
		r, _ := utf8.DecodeRuneInString(a[1:])
		if len(a) == 1 {
			return 0, ""
		}
		return int64(r), ""
	}
	text := strings.TrimLeft(a, " \t\n")
	sign := ""
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, text = text[:1], text[1:]
	}
	base, digits := 10, text
	switch {
	case strings.HasPrefix(text, "0x"), strings.HasPrefix(text, "0X"):
		base, digits = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base, digits = 8, text[1:]
	}
	end := 0
	for end < len(digits) && digitOf(digits[end]) < base {
		end++
	}
	v, err := strconv.ParseInt(sign+digits[:end], base, 64)
	switch {
	case end == 0, strings.TrimRight(digits[end:], " \t\n") != "":
		if end == 0 {
			v = 0
		}
		return v, a + ": invalid number"
	case err != nil:
		return v, "warning: " + a + ": Numerical result out of range"
	}
	return v, ""
}

func digitOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

// unescape is what %b and echo -e make of a text.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		n, text, stop := escape(s[i:], true)
		b.WriteString(text)
		if stop {
			return b.String(), true
		}
		i += n
	}
	return b.String(), false
}

var simpleEscapes = map[byte]string{
	'a': "\a", 'b': "\b", 'e': "\x1b", 'E': "\x1b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\\': "\\",
}

// escape reads one escape at the beginning of s: its length and what it stands for. In an argument \c ends the output, and an
// octal number has a 0 before it.
func escape(s string, argument bool) (n int, text string, stop bool) {
	if len(s) == 1 {
		return 1, `\`, false
	}
	c := s[1]
	if t, ok := simpleEscapes[c]; ok {
		return 2, t, false
	}
	digits := func(from, most, base int) (int, uint64) {
		end := from
		for end < len(s) && end < from+most && digitOf(s[end]) < base {
			end++
		}
		v, _ := strconv.ParseUint("0"+s[from:end], base, 64)
		return end, v
	}
	switch {
	case c == '"' || c == '\'':
		if argument && c == '\'' {
			return 2, `\'`, false
		}
		return 2, string(c), false
	case c == 'c' && argument:
		return 2, "", true
	case c == 'x':
		end, v := digits(2, 2, 16)
		if end == 2 {
			return 2, `\x`, false
		}
		return end, string([]byte{byte(v)}), false // #nosec G115 -- two digits
	case c == 'u' || c == 'U':
		most := 4
		if c == 'U' {
			most = 8
		}
		end, v := digits(2, most, 16)
		if end == 2 {
			return 2, s[:2], false
		}
		return end, string(rune(v)), false // #nosec G115 -- what is no character becomes the replacement
	case c == '0' && argument:
		end, v := digits(2, 3, 8)
		return end, string([]byte{byte(v)}), false // #nosec G115 -- as C
	case c >= '0' && c <= '7':
		end, v := digits(1, 3, 8)
		return end, string([]byte{byte(v)}), false // #nosec G115 -- as C
	}
	return 2, s[:2], false
}

// bashQuote is %q.
func bashQuote(s string) string {
	if s == "" {
		return "''"
	}
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) >= 0 {
		q, err := syntax.Quote(s, syntax.LangBash)
		if err != nil {
			return "''"
		}
		return q
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case strings.IndexByte(" !\"$&'()*,;<>?[\\]^`{|}", c) >= 0, i == 0 && (c == '#' || c == '~'):
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}
