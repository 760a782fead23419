package policy

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Whoever sends a command chooses how much work it is to judge. So each judgement has a budget: of work, of memory, and
// of the length of a value that it follows. It asks where the budget is spent. What it found before, and refuses, stays
// refused.
const (
	// maxWork bounds a judgement's steps. A step takes some 25 ns on a common server, so all of them take about 25 ms.
	maxWork = 1_000_000
	// maxBytes bounds what a judgement allocates for the values that it follows, in sum.
	maxBytes = 8 << 20
	// maxValue bounds a value that is followed.
	maxValue = 64 << 10
)

// What things cost, in steps.
const (
	costByteParsed = 1 // of shell text
	costNode       = 1 // of a syntax tree, each time that it is looked at
	costStatement  = 10
	costWord       = 10 // of a command, besides its bytes
	bytesPerStep   = 8  // of a value that is copied or searched
	costPlace      = 40 // where a word may be a file
	costHidden     = 100
	costPattern    = 400 // a name with the shell's patterns, against the hidden ones
	costPart       = 100 // of such a name
	costStarByte   = 8   // of such a name: it is compared with every hidden one byte by byte
	costPathByte   = 1   // of a path that is put together or taken apart, each time
)

// spent is what a judgement panics with whose budget is used up. It ends all that is being looked at, at whatever depth.
type spent struct{}

// budget is what is left of it.
type budget struct {
	work, bytes int
	// refused is the first part of the command that is to be refused, if any.
	refused *Decision
}

func newBudget() *budget { return &budget{work: maxWork, bytes: maxBytes} }

// within judges within the budget.
func (b *budget) within(judge func() Decision) (d Decision) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case b.refused != nil:
			d = *b.refused
		case p == any(spent{}):
			d = ask(Unknown, "it is too much work to be judged")
		default: // a defect must not stop the gateway, nor allow anything
			d = ask(Unknown, "the command could not be judged")
		}
	}()
	return judge()
}

// spend takes steps off the budget.
func (b *budget) spend(steps int) {
	if b.work -= steps; b.work < 0 {
		panic(spent{})
	}
}

// hold takes memory off the budget that a value needs, and the work of filling it.
func (b *budget) hold(bytes int) {
	b.spend(bytes / bytesPerStep)
	if b.bytes -= bytes; b.bytes < 0 {
		panic(spent{})
	}
}

// refuse notes what is refused, so that work which comes after it does not hide it.
func (b *budget) refuse(d Decision) {
	if d.Verdict == Deny && b.refused == nil {
		b.refused = &d
	}
}

// walk is syntax.Walk, each node of which is paid for.
func (b *budget) walk(n syntax.Node, visit func(syntax.Node) bool) {
	syntax.Walk(n, func(n syntax.Node) bool {
		b.spend(costNode)
		return visit(n)
	})
}

// source is a node's text as written, near enough for a reason and for a guess.
func (b *budget) source(n syntax.Node) string {
	if b.hold(int(n.End().Offset()) - int(n.Pos().Offset())); !n.Pos().IsValid() { // of braces that were expanded
		b.hold(bytesPerStep)
	}
	var text strings.Builder
	if syntax.NewPrinter().Print(&text, n) != nil {
		return ""
	}
	return text.String()
}

// add appends to each text that a word may be.
func (b *budget) add(a *arg, text string) {
	if text == "" {
		return
	}
	if len(a.text)+len(text) > maxValue {
		panic(spent{})
	}
	b.hold(len(a.text) + len(text))
	a.text += text
	for i := range a.others {
		b.hold(len(a.others[i]) + len(text))
		a.others[i] += text
	}
}
