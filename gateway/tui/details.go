package tui

import (
	"fmt"
	"strings"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
)

// labelWidth is the width of the labels before an operation's details, in cells.
const labelWidth = 10

// describe shows everything about an operation that its digest covers, in the order in which it matters.
func describe(s *approvals.Session, op *approvals.Operation, wholeEnv bool, from *contents) *page {
	p := newPage()
	describeDecision(p, op)
	p.add(label("Risk"), own(riskTone(op.Risk), riskWord(op.Risk)))
	p.addProse(label("Why"), shown(tonePlain, op.Why))
	switch {
	case op.File != nil:
		p.add(label("Kind"), shown(tonePlain, string(op.Kind)))
		describeFile(p, op.File, from)
	case op.Command == nil:
		p.add(label("Kind"), shown(tonePlain, string(op.Kind)))
		p.add(label("Summary"), shown(tonePlain, op.Summary))
	default:
		describeCommand(p, s, op.Command, wholeEnv)
		describeTogether(p, s, op.Command, from)
	}
	p.add(label("Digest"), shown(toneDim, op.Digest))
	p.addProse(nil, own(toneDim, fmt.Sprintf("── end of operation %d ──", op.N)))
	return p
}

func describeCommand(p *page, s *approvals.Session, c *approvals.Command, wholeEnv bool) {
	p.add(label("Target"), shown(toneStrong, c.Target))
	warn(p, c.Target)
	p.add(label("Run as"), shown(toneStrong, c.RunAs))
	warn(p, c.RunAs)
	p.add(label("Command"), line{{toneStrong, render.Argv(c.Argv)}})
	text, isShell := shellText(c.Argv)
	if isShell {
		for i, l := range strings.Split(text, "\n") {
			p.add(label(fmt.Sprintf("shell %d", i+1)), line{{tonePlain, render.Block(l)}})
			warn(p, l)
		}
	}
	for i := range c.Argv {
		gutter := label(fmt.Sprintf("argv[%d]", i))
		if isShell && i == 2 {
			p.addProse(gutter, own(toneDim, fmt.Sprintf("the shell text above, %d bytes", len(text))))
			continue
		}
		p.add(gutter, line{{tonePlain, render.Argv(c.Argv[i : i+1])}})
		warn(p, c.Argv[i])
	}
	if len(c.Argv) == 0 {
		p.add(label("argv"), own(toneDanger, "empty"))
	}
	p.add(label("Runs"), shown(tonePlain, c.Path))
	warn(p, c.Path)
	p.add(label("In"), shown(tonePlain, c.Dir))
	warn(p, c.Dir)
	describeEnvironment(p, c, wholeEnv)
	describeInput(p, c)
	if c.Line > 0 {
		p.add(label("Asked by"), join(own(tonePlain, fmt.Sprintf("line %d: ", c.Line)), shown(tonePlain, scriptLine(s, c.Line))))
	}
}

func describeEnvironment(p *page, c *approvals.Command, whole bool) {
	if len(c.EnvChanges) == 0 {
		p.addProse(label("Env"), own(toneDim, fmt.Sprintf("unchanged (%d variables; e shows them)", len(c.Env))))
	}
	for i, kv := range c.EnvChanges {
		gutter := label("Env")
		if i > 0 {
			gutter = label("")
		}
		if name, ok := strings.CutPrefix(kv, "-"); ok {
			p.add(gutter, join(own(toneCaution, "unset "), shown(tonePlain, name)))
		} else {
			p.add(gutter, join(own(toneCaution, "set "), shown(tonePlain, kv)))
		}
	}
	if !whole {
		return
	}
	for i, kv := range c.Env {
		p.add(label(fmt.Sprintf("env %d", i+1)), shown(toneDim, kv))
	}
}

// warn warns of characters outside ASCII in the detail before it.
func warn(p *page, untrusted string) {
	if warning, ok := render.Flag(untrusted); ok {
		p.add(label("  !"), line{{toneCaution, warning}})
	}
}

// describeInput shows what the command will read: all of it where it is known.
func describeInput(p *page, c *approvals.Command) {
	gutter := label("Stdin")
	switch c.Input {
	case "", "none":
		p.addProse(gutter, own(tonePlain, "none"))
	case "file":
		p.addProse(gutter, own(toneCaution, "a file that the script has opened; what is in it is not shown"))
	case "stream":
		p.addProse(gutter, own(toneCaution, "a stream from the script; what will come is not known yet"))
	case "data":
		p.addProse(gutter, own(tonePlain, fmt.Sprintf("%d bytes, all of them below", len(c.InputData))))
	default:
		p.addProse(gutter, shown(toneCaution, c.Input))
	}
	if len(c.InputData) > 0 {
		for i, l := range strings.Split(strings.TrimSuffix(string(c.InputData), "\n"), "\n") {
			if p.full {
				break
			}
			p.add(label(fmt.Sprintf("stdin %d", i+1)), line{{tonePlain, render.Block(l)}})
		}
		if !strings.HasSuffix(string(c.InputData), "\n") {
			p.addProse(label(""), own(toneDim, "without a newline at its end"))
		}
	}
	if c.InputSHA256 != "" {
		p.add(label("  sha256"), shown(toneDim, c.InputSHA256))
	}
}

func scriptLine(s *approvals.Session, n int) string {
	lines := strings.SplitN(s.Script, "\n", n+1)
	if s.Shell || n > len(lines) {
		return ""
	}
	return strings.TrimLeft(lines[n-1], " \t")
}

// describeResult shows what an operation that was started has written, and how it ended.
func describeResult(p *page, op *approvals.Operation, o *output) {
	p.addProse(nil, own(toneStrong, "Output:"))
	for _, q := range o.page().paragraphs {
		p.put(q)
	}
	if op.OutputCut {
		p.addProse(nil, own(toneCaution, "The recorded output is not whole: it reached its limit."))
	}
	switch {
	case op.ExitCode != nil && op.Signal != 0:
		p.addProse(label("Ended"), own(toneDanger, fmt.Sprintf("by signal %d", op.Signal)))
	case op.ExitCode != nil:
		p.addProse(label("Ended"), own(tonePlain, fmt.Sprintf("exit %d", *op.ExitCode)))
	}
}

// describeDecision shows what became of an operation that does not wait any more.
func describeDecision(p *page, op *approvals.Operation) {
	if op.Decision == approvals.Waiting {
		return
	}
	p.addProse(label("Decision"), decisionLine(op))
	if op.Reason != "" {
		p.addProse(label("Reason"), shown(tonePlain, op.Reason))
	}
}

// label is the gutter before a detail.
func label(words string) line { return own(toneDim, pad(words, labelWidth)) }
