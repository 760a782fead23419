package tui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// maxAnswer bounds one typed line, in bytes; it holds a whole reason.
const maxAnswer = maxReason + 100

// plain is the approval screen for screen readers and for connections that cannot draw: numbered lines that are
// written once and never again, and typed answers. It decides by the same rules as the screen.
type plain struct {
	o    Options
	ctx  context.Context
	work *workers
	out  io.Writer
	echo bool  // there is a terminal: the typed line is shown, behind a prompt
	err  error // of the last write

	typed   string // what stands behind the prompt
	session journal.Session
	op      int          // number of the open operation, 0 for none
	told    subject      // what was described to its end
	asked   func(string) // takes the next line
	pending *pending
	plainList
	plainText
	plainOutput
}

// plainList is what waits, as it is written in lines.
type plainList struct {
	query  prompt // what is listed, empty for all
	latest []summary
	listed []summary      // what has been written with numbers
	known  map[string]int // last operation that waited, by session
}

// plainText is a text that is written a window's height at a time.
type plainText struct {
	more  []string // rows that were not written yet
	ended func()   // what follows the last of them
}

// plainOutput is output that is written as it comes.
type plainOutput struct {
	result   *transcript
	resultOf int // of which operation; 0 for the session
	read     int // lines that were written
}

// RunPlain is Run for screen readers: it writes lines and reads answers. Where o.Term is "" there is no terminal, and
// neither echo nor carriage returns are needed. It returns as Run does.
func RunPlain(ctx context.Context, o Options) error {
	if !o.Identity.MayDecide() {
		return fmt.Errorf("open the approval screen as %s: %w: this needs an approver's key", o.Identity.Role, journal.ErrNotPermitted)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Window.Width, o.Window.Height = clampSize(o.Window.Width, o.Window.Height)
	ctx, cancel := context.WithCancelCause(ctx)
	work := &workers{}
	p := &plain{o: o, ctx: ctx, work: work, echo: o.Term != ""}
	out := newTerminalWriter(ctx, o.Out, cancel)
	out.plain, p.out = !p.echo, out
	err := p.loop(cancel)
	if p.result != nil {
		p.result.stop()
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, errLeft) {
		err = cause
	}
	cancel(nil)
	work.wait()
	out.close()
	return err
}

// errLeft ends a plain screen at the human's wish.
var errLeft = errors.New("left")

// answer is what the input brings: a typed line, a change of what stands behind the prompt, or the end.
type answer struct {
	line  string
	typed string // where not done: what stands behind the prompt now
	done  bool
	err   error
}

func (p *plain) loop(cancel context.CancelCauseFunc) error {
	events := p.o.Backend.Subscribe(p.ctx, p.o.Identity)
	answers := make(chan answer)
	go p.listen(answers)
	switch {
	case journal.IsGroup(p.o.Session):
		p.query = ofGroup(p.o.Session)
		p.list()
		p.tell("These are of the group %s alone; list lists all.", p.o.Session)
	case p.o.Session != "":
		p.open(p.o.Session)
	default:
		p.list()
	}
	p.prompt()
	for {
		if p.err != nil {
			return p.err
		}
		var due <-chan time.Time
		if p.pending != nil {
			due = time.After(p.pending.due.Sub(p.o.Now()))
		}
		var written <-chan struct{}
		if p.result != nil {
			written = p.result.changed
		}
		select {
		case <-p.ctx.Done():
			return nil
		case <-due:
			p.interrupt(p.settle)
		case <-written:
			p.interrupt(p.writeResult)
		case e, ok := <-events:
			if !ok {
				return journal.ErrShutdown
			}
			msg := eventMsg{}
			waits := msg.note(e)
			waits = msg.drain(events) || waits
			if msg.reloaded {
				p.recheck()
			}
			p.events(msg.decided, waits)
		case a := <-answers:
			if a.err != nil {
				return endOfInput(a.err)
			}
			if !a.done {
				p.echoTyped(a.typed)
				continue
			}
			p.echoEnd()
			if !p.answer(a.line) {
				p.settle()
				cancel(errLeft)
				return p.err
			}
			p.prompt()
		}
	}
}

func endOfInput(err error) error {
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// listen reads answers until the input ends. It may outlive the screen inside a Read.
func (p *plain) listen(answers chan<- answer) {
	send := func(a answer) bool {
		select {
		case answers <- a:
			return a.err == nil
		case <-p.ctx.Done():
			return false
		}
	}
	defer func() {
		if r := recover(); r != nil {
			p.o.Log.Error("the approval screen failed", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			send(answer{err: errors.New("the approval screen failed; nothing was decided by that: open it again")})
		}
	}()
	if p.echo {
		p.listenKeys(send)
		return
	}
	in := bufio.NewReaderSize(p.o.In, maxAnswer)
	for {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			text = nil
		}
		if (len(text) > 0 || err == nil) && !send(answer{line: strings.TrimRight(string(text), "\r\n"), done: true}) {
			return
		}
		if err != nil {
			send(answer{err: err})
			return
		}
	}
}

// listenKeys reads the keys of a terminal in raw mode, which shows nothing by itself.
func (p *plain) listenKeys(send func(answer) bool) {
	var d decoder
	buf := make([]byte, 1024)
	f := field{limit: maxAnswer}
	for {
		n, err := p.o.In.Read(buf)
		for _, b := range buf[:n] {
			if b == '\r' || b == '\n' {
				d.expire() // a sequence that never ended must not take the end of the line
			}
			for _, msg := range d.next(b) {
				a := answer{}
				switch k := msg.(type) {
				case tea.PasteMsg:
					f.insert(k.Content)
				case tea.KeyPressMsg:
					switch name := k.String(); {
					case name == "enter":
						a, f.text = answer{line: f.text, done: true}, ""
					case name == "ctrl+c", name == "ctrl+d" && f.text == "":
						a.err = errLeft
					default:
						f.key(k)
					}
				}
				a.typed = f.text
				if !send(a) {
					return
				}
			}
		}
		if err != nil {
			send(answer{err: err})
			return
		}
	}
}

// echoTyped shows what stands behind the prompt now: what is new of it, or all of it where something was taken away.
func (p *plain) echoTyped(typed string) {
	if rest, ok := strings.CutPrefix(typed, p.typed); ok {
		p.raw(rest)
	} else {
		n := cells(p.typed)
		p.raw(strings.Repeat("\b", n) + strings.Repeat(" ", n) + strings.Repeat("\b", n) + typed)
	}
	p.typed = typed
}

func (p *plain) echoEnd() {
	p.typed = ""
	if p.echo {
		p.raw("\n")
	}
}

// raw writes the program's own bytes, or what the human typed.
func (p *plain) raw(s string) {
	if _, err := io.WriteString(p.out, s); err != nil && p.err == nil {
		p.err = err
	}
}

// say writes one line. It never holds anything that a terminal would act on.
func (p *plain) say(l line) { p.raw(l.clean().plain() + "\n") }

// tell writes a line of the screen's own words.
func (p *plain) tell(words render.Words, args ...any) { p.say(format(tonePlain, words, args...)) }

func (p *plain) prompt() {
	if p.echo {
		p.raw("> " + p.typed)
	}
}

// interrupt writes something in the middle of the human's typing, and then what they had typed.
func (p *plain) interrupt(f func()) {
	if p.echo {
		p.raw("\n")
	}
	f()
	p.prompt()
}

// events says what others decided and, where something may wait, what is new.
func (p *plain) events(decided []events.Event, waits bool) {
	var fresh []string
	var all []line
	var m newsroom
	m.hear(decided, p.o.Identity.Name)
	for _, n := range newsOf(p.o.Backend, p.o.Identity, m.heard) {
		all = append(all, join(own(tonePlain, "News: "), n.line))
	}
	if waits {
		fresh = p.look()
	}
	if len(all)+len(fresh) == 0 {
		return
	}
	p.interrupt(func() {
		for _, l := range all {
			p.say(l)
		}
		if len(fresh) > 0 {
			if p.o.Alert == AlertBell && p.echo {
				p.raw("\a")
			}
			p.tell("New: %d. Type list to hear what waits.", len(fresh))
		}
	})
}

// look reads what waits and returns the sessions in which something new does.
func (p *plain) look() (fresh []string) {
	waiting, _, err := waitingSessions(p.o.Backend, p.o.Identity)
	if err != nil {
		p.say(join(own(tonePlain, "The sessions could not be read: "), shown(tonePlain, err.Error())))
		return nil
	}
	b := inbox{waiting: waiting, search: p.query}
	b.arrange()
	before := p.known
	p.latest, p.known = b.shown, map[string]int{}
	for i := range waiting {
		r := &waiting[i]
		p.known[r.id] = r.last
		if before != nil && r.last > before[r.id] && !r.ownedBy(p.o.Identity) {
			fresh = append(fresh, r.id)
		}
	}
	return fresh
}

// list writes what waits, numbered, the worst risk first.
func (p *plain) list() {
	p.look()
	p.close()
	p.listed = p.latest
	p.tell("%d wait.", len(p.listed))
	for i := range p.listed {
		p.say(p.entry(i+1, &p.listed[i]))
	}
	if len(p.listed) > 0 {
		p.tell("Type a number to read one. Others: list, history, help, quit.")
	} else {
		p.tell("What comes is announced here. Others: history, help, quit.")
	}
}

// history writes what was decided of late, numbered like the list.
func (p *plain) history() {
	recent, err := recentSessions(p.o.Backend, p.o.Identity)
	if err != nil {
		p.say(join(own(tonePlain, "The sessions could not be read: "), shown(tonePlain, err.Error())))
		return
	}
	p.close()
	p.listed = recent[:min(len(recent), 20)]
	p.tell("The last %d that ended.", len(p.listed))
	for i := range p.listed {
		p.say(p.entry(i+1, &p.listed[i]))
	}
}

// entry is a session in one line.
func (p *plain) entry(n int, r *summary) line {
	l := format(tonePlain, "%d. ", n)
	if r.status.Final() {
		l = join(l, own(tonePlain, statusWord(r.status)+": "))
	} else {
		l = join(l, own(tonePlain, riskWord(r.risk)+": "))
	}
	l = join(l, r.what, own(tonePlain, ". On "), place(r.target, r.runAs), own(tonePlain, ", asked by "), shown(tonePlain, r.agent))
	if r.ownedBy(p.o.Identity) {
		l = join(l, own(tonePlain, ", which is you"))
	}
	now := p.o.Now()
	switch {
	case r.status.Final():
		l = join(l, format(tonePlain, ", %s ago", duration(now.Sub(r.ended))))
		if r.by != "" {
			l = join(l, own(tonePlain, ", decided by "), shown(tonePlain, r.by))
		}
		if r.exit != nil {
			l = join(l, format(tonePlain, ", exit %d", *r.exit))
		}
	default:
		l = join(l, own(tonePlain, ", "), lasting(now, r.status, r.attended, r.since, r.deadline, roomyWidth))
	}
	if r.waiting > 1 {
		l = join(l, format(tonePlain, ", %d operations", r.waiting))
	}
	l = join(l, own(tonePlain, ". Session "), shown(tonePlain, r.id))
	if r.name != "" {
		l = join(l, own(tonePlain, ", by the agent's words "), quoted(r.name))
	}
	return l
}

// close leaves the open session.
func (p *plain) close() {
	p.op, p.told, p.more, p.ended, p.asked = 0, subject{}, nil, nil, nil
	p.session = journal.Session{}
	p.stopResult()
}

func (p *plain) stopResult() {
	if p.result != nil {
		p.result.stop()
		p.result = nil
	}
}

// answer acts on a typed line and reports whether the human stays.
func (p *plain) answer(text string) bool {
	if !utf8.ValidString(text) {
		p.tell("That is no text.")
		return true
	}
	text = strings.TrimSpace(text)
	if ask := p.asked; ask != nil {
		p.asked = nil
		ask(text)
		return true
	}
	verb, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	if n, err := strconv.Atoi(verb); err == nil && rest == "" {
		p.pick(n)
		return true
	}
	switch strings.ToLower(verb) {
	case "":
		p.next()
	case "q", "quit", "exit":
		return false
	case "l", "list":
		p.query = prompt{}
		p.list()
	case "history":
		p.history()
	case "?", "help":
		p.help()
	case "undo":
		p.undo()
	case "back":
		p.list()
	default:
		p.inSession(strings.ToLower(verb), rest)
	}
	return true
}

// inSession acts on a word that is about the open session.
func (p *plain) inSession(verb, rest string) {
	if p.session.ID == "" {
		p.say(join(own(tonePlain, "Not known here: "), shown(tonePlain, verb), own(tonePlain, ". Type help.")))
		return
	}
	switch verb {
	case "a", "approve":
		p.approve()
	case "r", "reject":
		p.reject(rest)
	case "n", "next":
		p.nextOperation()
	case "operations":
		p.operations()
	case "script":
		script, _ := scriptPage(&p.session, nil)
		p.describe(script, nil)
	case "about":
		p.describe(aboutPage(&p.session), nil)
	case "details", "env":
		p.tellOperation(true)
	case "output":
		p.stopResult()
		p.result, p.resultOf, p.read = follow(p.ctx, p.work, p.o.Backend, p.o.Identity, p.session.ID), 0, 0
	default:
		p.say(join(own(tonePlain, "Not known here: "), shown(tonePlain, verb), own(tonePlain, ". Type help.")))
	}
}

func (p *plain) help() {
	for _, s := range []string{
		"A number reads that entry of the list, or that operation of the open session.",
		"Enter alone goes on with a long text.",
		"list: what waits, the worst risk first. history: what ended of late. quit: leave.",
		"In a session: operations, next, script, output, about, details for the environment, the digest and what else is expected, back.",
		"approve: once all of the operation has been written here. reject REASON: the agent reads the reason.",
		"undo: until a decision counts, which is said when it does.",
		"What is not here has verbs of its own: approve ID --digest HEX --grant exact, rollback ID --plan.",
	} {
		p.tell("%s", s)
	}
	for _, s := range reminders {
		p.tell("%s", s)
	}
}

// pick opens entry n of the list, or operation n of the open session.
func (p *plain) pick(n int) {
	if p.session.ID == "" {
		if n < 1 || n > len(p.listed) {
			p.tell("There is no %d in the list.", n)
			return
		}
		p.open(p.listed[n-1].id)
		return
	}
	if operationOf(&p.session, n) == nil {
		p.tell("There is no operation %d; list goes back to the list.", n)
		return
	}
	p.op = n
	p.tellOperation(false)
}

// operationOf is operation n of a session, nil where there is none.
func operationOf(s *journal.Session, n int) *journal.Operation {
	for i := range s.Operations {
		if s.Operations[i].N == n {
			return &s.Operations[i]
		}
	}
	return nil
}

// open reads a session and describes what waits in it.
func (p *plain) open(id string) {
	p.close()
	s, err := p.o.Backend.Session(p.o.Identity, id)
	if err != nil {
		p.say(join(own(tonePlain, "Session "), shown(tonePlain, id), own(tonePlain, ": "), shown(tonePlain, err.Error())))
		return
	}
	p.session = s
	p.say(join(own(tonePlain, "Session "), shown(tonePlain, s.ID), own(tonePlain, ", "+statusWord(s.Status)+", by "), shown(tonePlain, s.Identity), own(tonePlain, " on "), shown(tonePlain, s.Target), behind(lasting(p.o.Now(), s.Status, p.o.Backend.Attended(s.ID), waitingSince(&s), s.Deadline, roomyWidth)), own(tonePlain, ".")))
	if s.OwnedBy(p.o.Identity) {
		p.tell("Your own session: another approver decides.")
	}
	if i := firstWaiting(&s); i >= 0 {
		p.op = s.Operations[i].N
		p.tellOperation(false)
		return
	}
	p.operations()
}

func (p *plain) operations() {
	for i := range p.session.Operations {
		op := &p.session.Operations[i]
		p.say(join(format(tonePlain, "%d. ", op.N), decisionLine(op), own(tonePlain, ", "+riskWord(op.Risk)+": "), what(op, tonePlain)))
	}
	p.tell("Type a number to read one. Others: script, output, about, back.")
}

// reload takes the session as it is now.
func (p *plain) reload() bool {
	s, err := p.o.Backend.Session(p.o.Identity, p.session.ID)
	if err != nil {
		p.say(join(own(tonePlain, "The session could not be read: "), shown(tonePlain, err.Error())))
		return false
	}
	p.session = s
	return true
}

// recheck leaves a session that is not shown any more, in the middle of whatever is written of it.
func (p *plain) recheck() {
	if p.session.ID == "" {
		return
	}
	if _, err := p.o.Backend.Session(p.o.Identity, p.session.ID); errors.Is(err, journal.ErrNotFound) {
		p.interrupt(func() {
			p.say(join(own(tonePlain, "Session "), shown(tonePlain, p.session.ID), own(tonePlain, " is not shown to you any more.")))
			p.close()
		})
	}
}

// tellOperation describes the open operation to its end, a window's height at a time.
func (p *plain) tellOperation(wholeEnv bool) {
	if !p.reload() {
		return
	}
	op := operationOf(&p.session, p.op)
	if op == nil {
		p.tell("No operation is open; operations lists them.")
		return
	}
	p.told = subject{}
	from := newContents(p.o.Backend)
	q := describe(&p.session, op, wholeEnv, from)
	if from.load() {
		from.settle()
		q = describe(&p.session, op, wholeEnv, from)
	}
	describeResult(q, &p.session, op, nil)
	v := operationView{op: *op, page: q, contents: from}
	why, sub := v.undecidable(p.o.Backend, &p.session, p.o.Identity, p.o.Now()), v.subject(&p.session)
	p.describe(q, func() {
		switch {
		case why != "":
			p.tell("Approve is off: %s.", why)
		case q.full:
			p.tell("Approve is off: it is too long to be written here; use show and approve.")
		default:
			p.told = sub
			p.tell("That was all of operation %d. Type approve, or reject and a reason.", sub.n)
		}
	})
}

// describe writes a text, a window's height at a time where there is a window, and then does what follows its end.
func (p *plain) describe(q *page, ended func()) {
	q.layout(max(p.o.Window.Width-5, minWidth), p.o.Window.Height)
	p.more, p.ended = nil, ended
	last := -1
	for _, r := range q.rows {
		number := "     "
		if r.paragraph != last {
			number = fmt.Sprintf("%4d ", r.paragraph+1)
		}
		last = r.paragraph
		p.more = append(p.more, number+r.line.clean().plain())
	}
	p.next()
}

// next writes the next part of a long text.
func (p *plain) next() {
	n := len(p.more)
	if p.echo {
		n = min(n, max(p.o.Window.Height-2, 5))
	}
	for _, row := range p.more[:n] {
		p.raw(row + "\n")
	}
	if p.more = p.more[n:]; len(p.more) > 0 {
		p.tell("%d more lines: press Enter.", len(p.more))
		return
	}
	if ended := p.ended; ended != nil {
		p.ended = nil
		ended()
	}
}
