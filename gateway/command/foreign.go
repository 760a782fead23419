package command

import (
	"bytes"
	"io"
	"strings"

	"shannot-gateway/approvals/render"
)

// foreignMark stands before every line of a script's output that is shown to somebody else than its own agent. No line of the
// gateway's own begins so.
const foreignMark = "| "

// gatewayMark begins every line that the gateway itself says.
const gatewayMark = "shannot:"

// foreign shows the output of somebody else's session on a terminal that it must not reach: line by line, rendered, and marked.
// A line is printed when it is whole.
type foreign struct {
	to   io.Writer
	line []byte
}

// Write implements io.Writer.
func (f *foreign) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		at := bytes.IndexByte(rest, '\n')
		whole := at >= 0
		if !whole {
			at = len(rest)
		}
		f.line = append(f.line, rest[:at]...)
		rest = rest[min(at+1, len(rest)):]
		if whole || len(f.line) > maxMarkedLine {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// flush prints what there is of a line.
func (f *foreign) flush() error {
	_, err := io.WriteString(f.to, foreignMark+shownForeign(f.line)+"\n")
	f.line = f.line[:0]
	return err
}

// lines takes rendered text in which no row of a terminal may look like one of the gateway's own lines.
type lines struct {
	to    io.Writer
	colon string // the escape for one
}

// Write implements io.Writer. A write is a line, or several.
func (l lines) Write(p []byte) (int, error) {
	if _, err := io.WriteString(l.to, uncoloned(string(p), l.colon)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// text is standard output for people: see lines.
func (c *Call) text() io.Writer { return lines{c.Stdout, `\x3a`} }

// end prints what has no end of line.
func (f *foreign) end() {
	if len(f.line) > 0 {
		_ = f.flush()
	}
}

// shownForeign renders a line.
func shownForeign(line []byte) string { return unmarked(render.Block(string(line)).String()) }

// unmarked is rendered text in which the gateway's own mark loses its colon to an escape: a terminal breaks a long line where it is
// full, and what comes then stands at the beginning of a row.
func unmarked(shown string) string { return uncoloned(shown, `\x3a`) }

func uncoloned(shown, colon string) string {
	var out strings.Builder
	word, from := len(gatewayMark)-1, 0
	for at := 0; ; at++ {
		next := strings.IndexByte(shown[at:], ':')
		if next < 0 {
			out.WriteString(shown[from:])
			return out.String()
		}
		at += next
		if at >= word && strings.EqualFold(shown[at-word:at+1], gatewayMark) {
			out.WriteString(shown[from:at] + colon)
			from = at + 1
		}
	}
}
