package tui

import (
	"fmt"
	"strings"

	"shannot-gateway/approvals/journal"
)

// approve asks to confirm the operation that was described to its end.
func (p *plain) approve() {
	s := p.told
	switch {
	case p.pending != nil:
		p.tell("A decision is under way; undo stops it.")
	case s.session == "" || s.n != p.op || s.session != p.session.ID:
		p.tell("Not yet: not all of an operation has been written here. Its number reads it, Enter goes on.")
	case isDanger(s.risk):
		p.say(join(own(tonePlain, "Type the target's name, "), shown(tonePlain, s.target), own(tonePlain, ", to approve, or nothing:")))
		p.asked = func(text string) {
			if text == s.target {
				p.confirm(verdict{subjects: []subject{s}, approve: true, target: text})
			} else {
				p.tell("That is not the target's name. Nothing was decided.")
			}
		}
	default:
		p.say(join(format(tonePlain, "Run operation %d once, on ", s.n), place(s.target, s.runAs), own(tonePlain, ": "), s.what))
		p.tell("Type yes to run it, or nothing:")
		p.asked = func(text string) {
			if strings.EqualFold(text, "yes") || strings.EqualFold(text, "y") {
				p.confirm(verdict{subjects: []subject{s}, approve: true})
			} else {
				p.tell("Nothing was decided.")
			}
		}
	}
}

// reject rejects the open operation for a reason, which it asks for where there is none yet.
func (p *plain) reject(reason string) {
	op := operationOf(&p.session, p.op)
	switch {
	case op == nil:
		p.tell("No operation is open; its number reads one.")
	case op.Decision != journal.Waiting:
		p.say(join(own(tonePlain, "It does not wait any more: "), decisionLine(op)))
	case p.session.OwnedBy(p.o.Identity):
		p.tell("Your own session: another approver decides.")
	case p.pending != nil:
		p.tell("A decision is under way; undo stops it.")
	case reason == "":
		p.tell("Why not? The agent reads it. Type a reason, or the number of one, or nothing:")
		for i, r := range usualReasons {
			p.tell("%d. %s", i+1, r)
		}
		p.asked = func(text string) {
			for i, r := range usualReasons {
				if text == fmt.Sprint(i+1) {
					text = r
				}
			}
			if text == "" {
				p.tell("Nothing was decided.")
				return
			}
			p.reject(text)
		}
	default:
		v := operationView{op: *op}
		p.confirm(verdict{subjects: []subject{v.subject(&p.session)}, reason: clip(reason, maxReason)})
	}
}

// confirm lets a verdict count, at once or after the time in which it can be undone.
func (p *plain) confirm(v verdict) {
	p.pending = &pending{verdict: v, due: p.o.Now().Add(p.o.Pace.Undo)}
	if p.o.Pace.Undo <= 0 {
		p.settle()
		return
	}
	p.tell("%s in %s. Type undo to stop it.", v.does("Approving", "Rejecting"), duration(p.o.Pace.Undo))
}

func (p *plain) undo() {
	if p.pending == nil {
		p.tell("There is nothing to undo.")
		return
	}
	p.tell("Undone: %s. It still waits.", p.pending.verdict.does("not approved:", "not rejected:"))
	p.pending = nil
}

// settle hands the pending verdict to the backend and says what came of it.
func (p *plain) settle() {
	if p.pending == nil {
		return
	}
	v := p.pending.verdict
	p.pending = nil
	m := surroundings{backend: p.o.Backend, me: p.o.Identity, ctx: p.ctx}
	msg := m.decideOn(v)
	var came results
	came.take(&msg, msg.explain)
	for _, o := range came.list {
		_, _, end := o.end()
		p.say(join(format(tonePlain, "Operation %d of ", o.subject.n), shown(tonePlain, o.subject.session), own(tonePlain, ": "), end, own(tonePlain, ": "), o.subject.what.fit(200)))
	}
	if now := msg.now(p.session.ID); now != nil {
		p.session = *now
	}
	p.told = subject{}
	if s := v.subjects[0]; msg.failed() == 0 && v.approve && s.session == p.session.ID {
		p.stopResult()
		p.result, p.resultOf, p.read = followOperation(p.ctx, p.work, p.o.Backend, p.o.Identity, s.session, s.n), s.n, 0
	}
}

// writeResult writes the lines of an operation's output that have ended since the last time.
func (p *plain) writeResult() {
	over := p.result.over()
	lines, dropped := p.result.settled(over)
	if p.read < dropped {
		p.tell("… %d lines were left out", dropped-p.read)
		p.read = dropped
	}
	for _, l := range lines[min(p.read-dropped, len(lines)):] {
		p.say(join(l.gutter(), l.text()))
		p.read++
	}
	if !over {
		return
	}
	if err := p.result.failure(); err != nil {
		p.say(join(own(tonePlain, "The output could not be followed: "), shown(tonePlain, err.Error())))
	}
	p.stopResult()
	if !p.reload() {
		return
	}
	if op := operationOf(&p.session, p.resultOf); op != nil {
		p.say(join(format(tonePlain, "Operation %d: ", op.N), decisionLine(op)))
	} else {
		p.tell("That is all of the output.")
	}
	if i := firstWaiting(&p.session); i >= 0 {
		p.tell("Operation %d waits for a decision: next reads it.", p.session.Operations[i].N)
	}
}

// nextOperation describes the next operation that waits, here or in another session.
func (p *plain) nextOperation() {
	if !p.reload() {
		return
	}
	for i := range p.session.Operations {
		if op := &p.session.Operations[i]; op.Decision == journal.Waiting && op.N > p.op {
			p.op = op.N
			p.tellOperation(false)
			return
		}
	}
	here := p.session.ID
	p.look()
	b := inbox{shown: p.latest}
	if r := b.next(here, p.o.Identity); r != nil {
		p.open(r.id)
		return
	}
	p.tell("Nothing else waits for you.")
}
