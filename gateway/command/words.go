package command

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// word is one word of a line and where the text after it begins.
type word struct {
	text string
	end  int // offset in the line that was split
	// operator tells that the word holds, outside quotes, something by which a shell would start or connect commands.
	operator bool
}

// errUnclosed tells what most often leads to it.
var errUnclosed = errors.New(`a quote is not closed; ssh takes one level of quotes away, so quote twice: "reject ID --reason \"it's too broad\""`)

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// firstWord is a line's first word, as it stands, and the rest of the line after it.
func firstWord(line string) (name, rest string) {
	line = strings.TrimLeft(line, " \t\r\n")
	end := strings.IndexAny(line, " \t\r\n")
	if end < 0 {
		return line, ""
	}
	return line[:end], line[end:]
}

// split splits a line into words: spaces part them, quotes and backslashes work as in a shell (POSIX.1-2024, section
// 2.2), and nothing else is special. Nothing is expanded.
func split(line string) ([]word, error) {
	var words []word
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return words, nil
		}
		w, err := nextWord(line, i)
		if err != nil {
			return nil, err
		}
		words, i = append(words, w), w.end
	}
}

// nextWord reads the word that begins at offset i.
func nextWord(line string, i int) (word, error) {
	var text strings.Builder
	var w word
	for i < len(line) && !isSpace(line[i]) {
		switch c := line[i]; c {
		case '\'':
			end := strings.IndexByte(line[i+1:], '\'')
			if end < 0 {
				return w, errUnclosed
			}
			text.WriteString(line[i+1 : i+1+end])
			i += end + 2
		case '"':
			n, err := doubleQuoted(&text, line[i+1:])
			if err != nil {
				return w, err
			}
			i += n + 1
		case '\\':
			if i+1 == len(line) {
				return w, errors.New("a backslash ends the line")
			}
			if line[i+1] != '\n' {
				text.WriteByte(line[i+1])
			}
			i += 2
		default:
			if strings.IndexByte("|&;<>`\n", c) >= 0 || c == '$' && i+1 < len(line) && line[i+1] == '(' {
				w.operator = true
			}
			text.WriteByte(c)
			i++
		}
	}
	w.text, w.end = text.String(), i
	return w, nil
}

// doubleQuoted reads up to the closing quote and returns how many bytes it took, that quote included.
func doubleQuoted(text *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i + 1, nil
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte("$`\"\\\n", s[i+1]) >= 0:
			if i++; s[i] != '\n' {
				text.WriteByte(s[i])
			}
		default:
			text.WriteByte(s[i])
		}
	}
	return 0, errUnclosed
}

func texts(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.text
	}
	return out
}

// isPython reports whether a line gives Python a script in a way that the sandbox can take: `python3`, `python3 -` or
// `python3 -c CODE`, alone. With a pipe, a redirection or another command beside it, the line is for a shell.
func isPython(line string) bool {
	name, rest := firstWord(line)
	if name != "python3" && name != "python" {
		return false
	}
	words, err := split(rest)
	if err != nil || len(words) > 0 && (words[0].text != "-" && words[0].text != "-c") {
		return false
	}
	for _, w := range words {
		if w.operator {
			return false
		}
	}
	return true
}

// IsRsync reports whether a line starts the far side of rsync(1), by whatever path and through whatever program.
func IsRsync(line string) bool {
	words, err := split(line)
	if err != nil || slices.ContainsFunc(words, func(w word) bool { return w.operator }) {
		return false
	}
	started := slices.IndexFunc(words, func(w word) bool { return path.Base(w.text) == "rsync" })
	return started >= 0 && started+1 < len(words) && words[started+1].text == "--server"
}

// CopyWords are the words of a line in which a client's scp(1) asks for its old protocol, after "scp"; false where the
// line is for a shell.
func CopyWords(line string) ([]string, bool) {
	name, rest := firstWord(line)
	if name != "scp" {
		return nil, false
	}
	words, err := split(rest)
	if err != nil || slices.ContainsFunc(words, func(w word) bool { return w.operator }) {
		return nil, false
	}
	return texts(words), true
}
