package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Setting is a key of a section, with its value as TOML writes it.
type Setting struct{ Key, Value string }

// TOMLString writes a basic string of TOML 1.0.
func TOMLString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// TOMLStrings writes an array of strings.
func TOMLStrings(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = TOMLString(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// remoteHeader is the line that begins a remote's section.
func remoteHeader(name string) string {
	if strings.Contains(name, ".") {
		name = TOMLString(name)
	}
	return "[remotes." + name + "]"
}

// errByHand is the error for a remote that is written in a way that is not edited here.
var errByHand = errors.New("it is not written as a section of its own: change it by hand")

// AddRemote appends a section for a target. Nothing else of the text changes.
func AddRemote(text []byte, name string, settings []Setting) ([]byte, error) {
	if !names.MatchString(name) || name == LocalTarget {
		return nil, fmt.Errorf("%q is no name for a target: use letters, digits, dots, dashes and underscores", name)
	}
	if spans, err := remoteSpans(text, name); err != nil || len(spans) > 0 {
		return nil, errors.Join(err, fmt.Errorf("there is a target %s already", name))
	}
	out := bytes.Clone(text)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	if len(bytes.TrimSpace(out)) > 0 {
		out = append(out, '\n')
	}
	out = append(out, remoteHeader(name)+"\n"...)
	for _, s := range settings {
		out = append(out, s.Key+" = "+s.Value+"\n"...)
	}
	return out, checkRemote(out, name, true)
}

// SetRemote sets a key of a target's section, where it stands or as the section's first. Comments stay.
func SetRemote(text []byte, name, key, value string) ([]byte, error) {
	spans, err := remoteSpans(text, name)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(spans, func(s span) bool { return len(s.path) == 2 })
	if at < 0 {
		return nil, fmt.Errorf("target %s: %w", name, errByHand)
	}
	section := spans[at]
	for _, k := range section.keys {
		if k.name == key {
			line := fmt.Sprintf("%s = %s", key, value)
			return slices.Concat(text[:k.from], []byte(line), text[k.to:]), nil
		}
	}
	line := fmt.Sprintf("%s = %s\n", key, value)
	if text[section.body-1] != '\n' {
		line = "\n" + line // the header is the end of the file
	}
	return slices.Concat(text[:section.body], []byte(line), text[section.body:]), nil
}

// RemoveRemote removes a target's sections. Comments between sections stay.
func RemoveRemote(text []byte, name string) ([]byte, error) {
	spans, err := remoteSpans(text, name)
	if err != nil {
		return nil, err
	}
	if len(spans) == 0 {
		return nil, fmt.Errorf("target %s: %w", name, errByHand)
	}
	out := bytes.Clone(text)
	for i := len(spans) - 1; i >= 0; i-- {
		from, to := spans[i].from, spans[i].to
		if bytes.HasSuffix(out[:from], []byte("\n\n")) && (to == len(out) || out[to] == '\n') {
			from-- // the empty line that parted it from what is before
		}
		out = slices.Delete(out, from, to)
	}
	return out, checkRemote(out, name, false)
}

// checkRemote makes sure that an edit did what it was to do.
func checkRemote(text []byte, name string, there bool) error {
	spans, err := remoteSpans(text, name)
	if err == nil && (len(spans) > 0) != there {
		err = errByHand
	}
	return err
}

// span is where a section of a remote stands in the text.
type span struct {
	path     []string
	from, to int // header to the end of its last line with something in it
	body     int // after the header's line
	keys     []keySpan
}

// keySpan is where a key and its value stand.
type keySpan struct {
	name     string
	from, to int
}

// remoteSpans finds the sections [remotes.NAME] and those below it, in order. A remote that is written in another way is
// an error.
func remoteSpans(text []byte, name string) ([]span, error) {
	var out []span
	var in []string // the section that the expression is in
	open := false   // whether that is one of ours
	p := unstable.Parser{}
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		path, first := keyPath(e)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			in = path
			if open = ours(path, name); open {
				start := lineStart(text, first)
				out = append(out, span{path: path, from: start, to: lineEnd(text, first), body: lineEnd(text, first)})
			}
		case unstable.KeyValue:
			from, to := int(e.Raw.Offset), int(e.Raw.Offset+e.Raw.Length)
			switch {
			case open:
				s := &out[len(out)-1]
				s.to = lineEnd(text, to)
				s.keys = append(s.keys, keySpan{strings.Join(path, "."), from, to})
			case ours(slices.Concat(in, path), name):
				return nil, fmt.Errorf("target %s: %w", name, errByHand)
			}
		default: // nothing of the kind for the others
		}
	}
	if err := p.Error(); err != nil {
		return nil, fmt.Errorf("the configuration is not TOML: %w", err)
	}
	return out, nil
}

func ours(path []string, name string) bool {
	return len(path) >= 2 && path[0] == "remotes" && path[1] == name
}

// keyPath is an expression's key, and where it begins.
func keyPath(e *unstable.Node) (path []string, first int) {
	for it := e.Key(); it.Next(); {
		if len(path) == 0 {
			first = int(it.Node().Raw.Offset)
		}
		path = append(path, string(it.Node().Data))
	}
	return path, first
}

func lineStart(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

func lineEnd(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}
