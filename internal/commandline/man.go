package commandline

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Manual says what a man page has beside the description of its command.
type Manual struct {
	Name   string // of the page, such as "shannot-gateway-serve"
	Before string // what stands before the command's own line, such as "ssh HOST"
	Exits  []Exit
	See    []string // names of other pages, each of section 1
}

// Exit is an exit status and what it means.
type Exit struct {
	Status  int
	Meaning string
}

// Man is a command's manual page of section 1, in the macros of man(7). A command's own commands are in its page.
func Man(cmd *cobra.Command, m Manual) []byte {
	r := &roff{}
	r.macro("TH", strings.ToUpper(m.Name), "1", "", "Shannot gateway", "Shannot gateway manual")
	r.macro("SH", "NAME")
	r.text(m.Name + ` \- ` + escaped(cmd.Short))
	r.macro("SH", "SYNOPSIS")
	leaves := leavesOf(cmd)
	for i, leaf := range leaves {
		if i > 0 {
			r.macro("br")
		}
		r.synopsis(Synopsis(m.before(cmd, leaf), leaf))
	}
	r.macro("SH", "DESCRIPTION")
	r.prose(Description(cmd))
	if !cmd.HasParent() && cmd.HasAvailableSubCommands() {
		r.overview(cmd)
	} else if len(leaves) == 1 && leaves[0] == cmd {
		r.macro("SH", "OPTIONS")
		r.flags(cmd)
	} else {
		r.macro("SH", "COMMANDS")
		for _, leaf := range leaves {
			r.macro("SS", escaped(leaf.Name()))
			r.prose(Description(leaf))
			r.flags(leaf)
		}
	}
	r.examples(cmd, leaves)
	if len(m.Exits) > 0 {
		r.macro("SH", "EXIT STATUS")
		for _, e := range m.Exits {
			r.macro("TP")
			r.text(fmt.Sprintf(`\fB%d\fR`, e.Status))
			r.text(escaped(e.Meaning))
		}
	}
	if len(m.See) > 0 {
		r.macro("SH", "SEE ALSO")
		for i, name := range m.See {
			comma := ","
			if i == len(m.See)-1 {
				comma = ""
			}
			r.macro("BR", escaped(name), "(1)"+comma)
		}
	}
	return r.Bytes()
}

// before is what stands before a leaf's own line in the page of a command above it.
func (m Manual) before(cmd, leaf *cobra.Command) string {
	path := m.Before
	if leaf != cmd {
		path += " " + strings.TrimSuffix(strings.TrimPrefix(leaf.Parent().CommandPath(), cmd.Root().CommandPath()+" "), " ")
	}
	return path
}

// leavesOf are the commands of a command that do something themselves; itself where it has none.
func leavesOf(cmd *cobra.Command) []*cobra.Command {
	children := Children(cmd)
	if len(children) == 0 || !cmd.HasParent() {
		return []*cobra.Command{cmd}
	}
	var out []*cobra.Command
	for _, child := range children {
		out = append(out, leavesOf(child)...)
	}
	return out
}

// roff is a page that is being written.
type roff struct{ bytes.Buffer }

// macro writes a request with its arguments, each in quotes where it has blanks or is empty.
func (r *roff) macro(name string, args ...string) {
	r.WriteString("." + name)
	for _, arg := range args {
		if arg == "" || strings.Contains(arg, " ") {
			arg = `"` + arg + `"`
		}
		r.WriteString(" " + arg)
	}
	r.WriteByte('\n')
}

// overview lists the commands of a command, which have pages of their own.
func (r *roff) overview(cmd *cobra.Command) {
	r.macro("SH", "COMMANDS")
	for _, child := range Children(cmd) {
		r.macro("TP")
		r.text(`\fB` + escaped(child.Use) + `\fR`)
		r.text(escaped(child.Short))
	}
}

// text writes a line of text that is escaped already.
func (r *roff) text(line string) { r.WriteString(unmistaken(line) + "\n") }

// prose writes the paragraphs of a description.
func (r *roff) prose(text string) {
	for i, p := range paragraphs(text) {
		if i > 0 {
			r.macro("PP")
		}
		if p.literal {
			r.literal(p.text)
			continue
		}
		r.text(escaped(p.text))
	}
}

// literal writes lines as they are, indented.
func (r *roff) literal(text string) {
	r.macro("RS", "4")
	r.macro("nf")
	for line := range strings.SplitSeq(text, "\n") {
		r.text(escaped(strings.TrimSpace(line)))
	}
	r.macro("fi")
	r.macro("RE")
}

// synopsis writes how a command is typed: the words that stay as they are in bold.
func (r *roff) synopsis(line string) {
	var out []string
	for word := range strings.FieldsSeq(line) {
		switch {
		case strings.Trim(word, "[]…()|-") == "", strings.ContainsAny(word, "[]") && !strings.Contains(word, "-"),
			strings.ToUpper(word) == word && strings.ToLower(word) != word:
			out = append(out, `\fI`+escaped(word)+`\fR`)
		default:
			out = append(out, `\fB`+escaped(word)+`\fR`)
		}
	}
	r.text(strings.Join(out, " "))
}

// flags writes a command's flags.
func (r *roff) flags(cmd *cobra.Command) {
	for _, f := range Flags(cmd) {
		head := `\fB\-\-` + escaped(f.Name) + `\fR`
		if f.Short != "" {
			head = `\fB\-` + escaped(f.Short) + `\fR, ` + head
		}
		if f.Value != "" {
			head += ` \fI` + escaped(f.Value) + `\fR`
		}
		r.macro("TP")
		r.text(head)
		r.text(escaped(f.Text))
	}
}

// examples writes the examples of a command and of those that its page has.
func (r *roff) examples(cmd *cobra.Command, leaves []*cobra.Command) {
	var all []string
	for _, one := range append([]*cobra.Command{cmd}, leaves...) {
		if one.Example != "" && (one != cmd || len(all) == 0) {
			all = append(all, one.Example)
		}
	}
	if len(all) > 0 {
		r.macro("SH", "EXAMPLES")
		r.literal(strings.Join(all, "\n"))
	}
}

// escaped is text in which nothing is markup: backslashes, and hyphens that are to be copied as such.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "→", "to").Replace(text)
}

// unmistaken is a line that does not begin like a request.
func unmistaken(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}
