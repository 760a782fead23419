package render

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Text is text that is safe to print. Only this package makes it: out of untrusted bytes by escaping them, and out of
// the program's own Words as they are. The zero value is no text.
type Text struct{ s string }

// Words are constants of the program: what it says itself. A constant string becomes Words by itself; nothing else may be
// converted to them, as a test over the whole module holds.
type Words string

// Own is the program's own words as a text.
func Own(w Words) Text { return Text{string(w)} }

// String returns the text.
func (t Text) String() string { return t.s }

// Empty reports whether there is no text.
func (t Text) Empty() bool { return t.s == "" }

// Len is the length of the text in bytes.
func (t Text) Len() int { return len(t.s) }

// MarshalText gives the text as a string of JSON and the like.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.s), nil }

// UnmarshalText takes a text that was kept, as Stored does.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Stored(string(b))
	return nil
}

// Cut gives the first bytes of a text and the rest, as close before n as a character begins.
func (t Text) Cut(n int) (first, rest Text) {
	n = max(0, min(n, len(t.s)))
	for n > 0 && n < len(t.s) && !utf8.RuneStart(t.s[n]) {
		n--
	}
	return Text{t.s[:n]}, Text{t.s[n:]}
}

// Lines gives each line of a text of several.
func (t Text) Lines() []Text {
	var out []Text
	for line := range strings.SplitSeq(t.s, "\n") {
		out = append(out, Text{line})
	}
	return out
}

// Join puts texts one after the other, with words between them.
func Join(texts []Text, between Words) Text {
	all := make([]string, len(texts))
	for i, t := range texts {
		all[i] = t.s
	}
	return Text{strings.Join(all, string(between))}
}

// Format is fmt.Sprintf for texts: the format is the program's own, a Text, Words, a number or a bool stands as it is, and
// everything else (a string, an error, what has a String method) is rendered by Line.
func Format(format Words, args ...any) Text {
	safe := make([]any, len(args))
	for i, a := range args {
		safe[i] = argument(a)
	}
	return Text{fmt.Sprintf(string(format), safe...)}
}

// argument makes an argument of Format safe.
func argument(a any) any {
	switch v := a.(type) {
	case Text:
		return v.s
	case Words:
		return string(v)
	case string:
		return Line(v).s
	case []byte:
		return Bytes(v).s
	case fmt.Formatter, fmt.Stringer, error:
		return Line(fmt.Sprint(v)).s
	}
	switch v := reflect.ValueOf(a); {
	case v.CanInt():
		return number{v.Int()}
	case v.CanUint():
		return number{v.Uint()}
	case v.CanFloat(), v.Kind() == reflect.Bool:
		return a
	}
	return Line(fmt.Sprint(a)).s
}

// number is an integer. As a character (%c, %q) it is rendered, as a character of a text is.
type number struct{ value any }

// Format implements fmt.Formatter.
func (n number) Format(s fmt.State, verb rune) {
	text := fmt.Sprintf(fmt.FormatString(s, verb), n.value)
	if verb == 'c' || verb == 'q' {
		text = Line(text).s
	}
	_, _ = io.WriteString(s, text)
}

// Fprintln writes a line to a stream.
func Fprintln(w io.Writer, t Text) error {
	_, err := io.Copy(w, bytes.NewReader(append([]byte(t.s), '\n')))
	return err
}

// Blanks are as many blanks, none for a negative number.
func Blanks(n int) Words { return Words(strings.Repeat(" ", max(n, 0))) }

// With is the text with more of the program's words behind it, see Format.
func (t Text) With(format Words, args ...any) Text { return Text{t.s + Format(format, args...).s} }
