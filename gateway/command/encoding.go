package command

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
)

// cookie is the declaration of a source's encoding, PEP 263.
var cookie = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)

// blank is a line before the one of the declaration.
var blank = regexp.MustCompile(`^[ \t\f]*(?:#.*)?\r?$`)

// sourceText returns a Python source as UTF-8, by the encoding that one of its first two lines declares (PEP 263). The declaration
// then names UTF-8. What is UTF-8 already, or declares nothing, stays as it is.
func sourceText(source string) (string, error) {
	if utf8.ValidString(source) {
		return source, nil
	}
	first, rest, _ := strings.Cut(source, "\n")
	at, line := 0, first
	if cookie.FindStringIndex(first) == nil && blank.MatchString(first) {
		at, line = len(first)+1, ""
		if at <= len(source) {
			line, _, _ = strings.Cut(rest, "\n")
		}
	}
	found := cookie.FindStringSubmatchIndex(line)
	if found == nil {
		return source, nil
	}
	name := line[found[2]:found[3]]
	from := encodingOf(name)
	if from == nil {
		return "", fmt.Errorf("the script declares the encoding %q, which is not known; send it as UTF-8", name)
	}
	begin, end := at+found[2], at+found[3]
	text, err := from.NewDecoder().String(source[:begin] + "utf-8" + source[end:])
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", fmt.Errorf("the script is not %s, as it declares", name)
	}
	return text, nil
}

// encodingOf knows an encoding by Python's names for it, nil for none. Only encodings that have ASCII in them can be declared.
func encodingOf(name string) encoding.Encoding {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch {
	case name == "latin-1" || name == "latin1" || name == "l1" || name == "iso8859-1" || strings.HasPrefix(name, "latin-1-"):
		return charmap.ISO8859_1
	case strings.HasPrefix(name, "utf-"), strings.HasPrefix(name, "utf16"), strings.HasPrefix(name, "utf32"):
		return nil
	case strings.HasPrefix(name, "iso8859-"):
		name = "iso-" + name[len("iso"):]
	case strings.HasPrefix(name, "cp125"):
		name = "windows-" + name[len("cp"):]
	case name == "sjis" || name == "shift-jis":
		name = "shift_jis"
	}
	found, err := ianaindex.IANA.Encoding(name)
	if err != nil {
		return nil
	}
	return found
}
