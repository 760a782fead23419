// Package diff compares what a file holds with what it is to hold, for a human to read. It compares text line by line;
// anything else is binary and only said to differ. It knows nothing of files, sessions or terminals. What it returns is as
// untrusted as what it got: render it. Begin with Compare.
package diff

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
)

// MaxText is the largest content that is taken for text, in bytes. Larger ones are shown by size and hash.
const MaxText = 8 << 20

// Context is how many unchanged lines stand before and after a change in a unified diff.
const Context = 3

// Kind is what a line of a diff is.
type Kind byte

// Kinds of lines.
const (
	Same    Kind = ' '
	Added   Kind = '+'
	Removed Kind = '-'
)

// Line is one line.
type Line struct {
	Kind     Kind
	Old, New int    // its number in the old and in the new content, from 1; 0 where it is not there
	Text     string // without its newline
	// Open says that the content ends with this line and without a newline.
	Open bool
}

// Hunk is a run of lines.
type Hunk struct {
	Old, OldLines, New, NewLines int // as in "@@ -Old,OldLines +New,NewLines @@"
	Lines                        []Line
}

// Diff is what differs. Two equal contents have no hunks.
type Diff struct {
	Hunks          []Hunk
	Added, Removed int // lines
	// Binary says that one of the contents is no text, or too large: there are no hunks then.
	Binary bool
	// Sample says what is known of what is written where it is not shown, nil otherwise. Whoever reads contents fills it in.
	Sample *Sample
}

// Count says in words how many lines were added and removed.
func (d Diff) Count() string {
	if d.Added == 1 {
		return fmt.Sprintf("1 line added, %d removed", d.Removed)
	}
	return fmt.Sprintf("%d lines added, %d removed", d.Added, d.Removed)
}

// String is the unified diff, without the names of files.
func (d Diff) String() string {
	var b strings.Builder
	for _, h := range d.Hunks {
		_, _ = fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", h.Old, h.OldLines, h.New, h.NewLines)
		for _, l := range h.Lines {
			b.WriteByte(byte(l.Kind))
			b.WriteString(l.Text)
			b.WriteByte('\n')
			if l.Open {
				b.WriteString("\\ No newline at end of file\n")
			}
		}
	}
	return b.String()
}

// IsText reports whether content can be shown as text: UTF-8 without NUL, and not too large.
func IsText(content []byte) bool {
	return len(content) <= MaxText && utf8.Valid(content) && bytes.IndexByte(content, 0) < 0
}

// Compare compares two contents. context is how many unchanged lines are kept around each change; negative keeps all.
func Compare(before, after []byte, context int) Diff {
	if !IsText(before) || !IsText(after) {
		return Diff{Binary: true}
	}
	old := string(before)
	if context < 0 {
		context = max(bytes.Count(before, []byte{'\n'}), bytes.Count(after, []byte{'\n'})) + 2
	}
	edits := edit(before, after)
	unified, err := udiff.ToUnifiedDiff("", "", old, edits, context)
	if err != nil {
		return Diff{Binary: true} // edits that do not fit their own text: not met
	}
	var d Diff
	for _, h := range unified.Hunks {
		d.Hunks = append(d.Hunks, d.hunk(h))
	}
	return d
}

// maxLines is the number of lines, of both contents, from which on Compare does not search for the shortest difference:
// the time of the search grows with their product. What lies between the first and the last line that differ is then one
// change.
const maxLines = 50_000

func edit(before, after []byte) []udiff.Edit {
	if bytes.Count(before, []byte{'\n'})+bytes.Count(after, []byte{'\n'}) <= maxLines {
		return udiff.Lines(string(before), string(after))
	}
	if bytes.Equal(before, after) {
		return nil
	}
	start := 0
	for i := 0; i < min(len(before), len(after)) && before[i] == after[i]; i++ {
		if before[i] == '\n' {
			start = i + 1
		}
	}
	end := 0 // bytes that both end with, a whole number of lines
	for i := 1; i <= min(len(before), len(after))-start && before[len(before)-i] == after[len(after)-i]; i++ {
		if i == len(before)-start || i == len(after)-start || before[len(before)-i-1] == '\n' && after[len(after)-i-1] == '\n' {
			end = i
		}
	}
	return []udiff.Edit{{Start: start, End: len(before) - end, New: string(after[start : len(after)-end])}}
}

func (d *Diff) hunk(h *udiff.Hunk) Hunk {
	out := Hunk{Old: h.FromLine, New: h.ToLine}
	from, to := h.FromLine, h.ToLine
	for _, l := range h.Lines {
		text, closed := strings.CutSuffix(l.Content, "\n")
		line := Line{Text: text, Open: !closed}
		switch l.Kind {
		case udiff.Insert:
			line.Kind, line.New = Added, to
			d.Added++
		case udiff.Delete:
			line.Kind, line.Old = Removed, from
			d.Removed++
		default:
			line.Kind, line.Old, line.New = Same, from, to
		}
		if line.Old > 0 {
			from++
			out.OldLines++
		}
		if line.New > 0 {
			to++
			out.NewLines++
		}
		out.Lines = append(out.Lines, line)
	}
	if out.OldLines == 0 {
		out.Old = max(0, out.Old-1) // as diff(1) has it for what is added
	}
	if out.NewLines == 0 {
		out.New = max(0, out.New-1)
	}
	return out
}
