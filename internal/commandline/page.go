package commandline

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pageWidth is how wide a page is, in terminal cells.
const pageWidth = 79

// Synopsis is how a command is typed: what stands before it (such as "ssh HOST") and its own line.
func Synopsis(before string, cmd *cobra.Command) string {
	return strings.TrimSpace(before + " " + cmd.Use)
}

// Page is a command's help for a terminal of 80 columns: how it is typed, what it does, its commands, flags and examples.
func Page(before string, cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString(hanging(Synopsis(before, cmd), 4) + "\n\n")
	for i, p := range paragraphs(Description(cmd)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.wrapped(pageWidth))
	}
	if rows := Children(cmd); len(rows) > 0 {
		b.WriteString("\nCommands:\n")
		for _, child := range rows {
			fmt.Fprintf(&b, "  %-11s %s\n", child.Name(), child.Short)
		}
	}
	b.WriteString("\nFlags:\n")
	for _, f := range Flags(cmd) {
		b.WriteString(f.row())
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n")
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			b.WriteString("  " + line + "\n")
		}
	}
	return b.String()
}

// Flag is a flag as a page shows it.
type Flag struct {
	Short, Name string // without dashes; Short is "" where there is none
	Value       string // what stands for its value; "" for none
	Text        string // what it does, and its default
}

// Flags are the flags of a command that are shown, in the order in which they were added.
func Flags(cmd *cobra.Command) []Flag {
	AddHelp(cmd)
	var out []Flag
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		if f.NoOptDefVal == "" && f.DefValue != "" && f.DefValue != "0" {
			text += " (default: " + f.DefValue + ")"
		}
		out = append(out, Flag{f.Shorthand, f.Name, value, text})
	})
	return out
}

// Unquote takes the quotes around names of values out of the descriptions of all flags, for what shows these as they are.
func Unquote(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { _, f.Usage = pflag.UnquoteUsage(f) })
	for _, child := range cmd.Commands() {
		Unquote(child)
	}
}

// flagColumn is where the texts of flags begin, in terminal cells.
const flagColumn = 24

// row is the flag in a page, in as many lines as it needs.
func (f Flag) row() string {
	head := "      --" + f.Name
	if f.Short != "" {
		head = "  -" + f.Short + ", --" + f.Name
	}
	head = fmt.Sprintf("%-*s ", flagColumn-1, strings.TrimRight(head+" "+f.Value, " "))
	text := strings.Split(ansi.Wordwrap(f.Text, pageWidth-flagColumn, ""), "\n")
	if len(head) > flagColumn {
		text = append([]string{""}, text...)
		head = strings.TrimRight(head, " ")
	}
	return head + strings.Join(text, "\n"+strings.Repeat(" ", flagColumn)) + "\n"
}

// AddHelp gives a command the flags -h and --help, unless it has them, and keeps the order in which its flags were added.
func AddHelp(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	if f.Lookup(helpFlag) == nil {
		f.BoolP(helpFlag, "h", false, "print this page")
	}
}

const helpFlag = "help"

// Description is what a command does, in whole sentences.
func Description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
}

// Children are a command's commands that are shown, in the order in which they were added.
func Children(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			out = append(out, child)
		}
	}
	return out
}

// paragraph is a piece of a description: prose, or lines that stay as they are.
type paragraph struct {
	text    string
	literal bool
}

// paragraphs parts a description. A blank line ends a paragraph; one whose lines begin with a blank is literal.
func paragraphs(text string) []paragraph {
	var out []paragraph
	for part := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		p := paragraph{text: part, literal: strings.HasPrefix(part, " ")}
		if !p.literal {
			p.text = strings.Join(strings.Fields(part), " ")
		}
		out = append(out, p)
	}
	return out
}

// wrapped is the paragraph in lines of at most width cells.
func (p paragraph) wrapped(width int) string {
	if p.literal {
		return p.text + "\n"
	}
	return ansi.Wordwrap(p.text, width, "") + "\n"
}

// hanging wraps a line and indents what follows its first row.
func hanging(line string, indent int) string {
	rows := strings.Split(ansi.Wordwrap(line, pageWidth-indent, "|"), "\n")
	return strings.Join(rows, "\n"+strings.Repeat(" ", indent))
}

// Wrapped is prose in lines of a page's width.
func Wrapped(text string) string { return paragraph{text: text}.wrapped(pageWidth) }
