//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
)

// Changer makes changes of files in the world, which its caller sees as the host, as the account or, without one, as this process.
type Changer func(account *targets.Account) (targets.FileTarget, error)

// Init must be called first of all in main by every program that uses Run, and by TestMain in its tests. In the world it does not
// return. changer makes what comes before a command; it is called in the world.
func Init(changer Changer) {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case worldStage:
		be(changer)
		os.Exit(0)
	case commandStage:
		become()
		os.Exit(126)
	}
}

// line is the world's end of the conversation with the gateway. The gateway's end of it ends the world.
type line struct {
	socket  *os.File
	to      *gob.Encoder
	answers chan answer

	mu    sync.Mutex // of what follows, and of a question until its answer
	known map[string]bool
	hides bool
}

// maxKnown bounds the names whose answers are kept.
const maxKnown = 1 << 16

// hidden asks the gateway whether names are hidden.
func (l *line) hidden(names ...string) []bool {
	out := make([]bool, len(names))
	if !l.hides {
		return out
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var ask []string
	for _, name := range names {
		if _, is := l.known[name]; !is {
			ask = append(ask, name)
		}
	}
	if len(l.known) > maxKnown {
		clear(l.known)
		ask = names
	}
	if len(ask) > 0 {
		if l.to.Encode(message{Hidden: ask}) != nil {
			os.Exit(1)
		}
		a := <-l.answers
		for i, name := range ask {
			l.known[name] = i >= len(a.Hidden) || a.Hidden[i]
		}
	}
	for i, name := range names {
		out[i] = l.known[name]
	}
	return out
}

func (l *line) hides1(name string) bool { return l.hidden(name)[0] }

// be is the first process of the world: it builds it, runs the steps and reports.
func be(changer Changer) {
	if os.Getpid() != 1 { // it ends every process that it can signal
		_, _ = fmt.Fprintln(os.Stderr, "not the first process of a pid namespace")
		os.Exit(1)
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // where memory is short, the world goes first
	unix.CloseOnExec(socket)
	_ = unix.SetNonblock(socket, true)
	l := &line{socket: os.NewFile(socket, "gateway"), answers: make(chan answer), known: map[string]bool{}}
	l.to = gob.NewEncoder(l.socket)
	from := gob.NewDecoder(l.socket)
	var o order
	if err := from.Decode(&o); err != nil {
		os.Exit(1)
	}
	l.hides = o.Hides
	go func() {
		for {
			var a answer
			if from.Decode(&a) != nil {
				os.Exit(1) // the gateway is gone, and the kernel ends what is left here
			}
			l.answers <- a
		}
	}()
	r := &report{}
	rehearsed, reason, err := rehearse(l, &o, changer)
	if err != nil {
		r.Fault, r.Reason = err.Error(), reason
	} else {
		r.Rehearsed = *rehearsed
	}
	l.mu.Lock()
	if err := l.to.Encode(message{Report: r}); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "send the report:", err)
	}
}

// stage is a world with what its steps have done so far.
type stage struct {
	*line
	order    *order
	place    *place
	watch    *watch
	scan     *scanner
	deadline time.Time
}

func rehearse(l *line, o *order, changer Changer) (*targets.Rehearsed, string, error) {
	_ = unix.Sethostname([]byte(hostname())) // its own, of the same name
	p, err := build(o.Limits.Disk, masks(l.hides1), o.names())
	if err != nil {
		return nil, faultWorld, err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, faultWorld, err
	}
	s := &stage{line: l, order: o, place: p, deadline: time.Now().Add(o.Limits.Wall)}
	s.scan = newScanner(p, l, o.Limits)
	if s.watch, err = watchOpens(p, l); err != nil {
		return nil, faultWorld, err
	}
	return s.run(changer)
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// run takes the steps.
func (s *stage) run(changer Changer) (*targets.Rehearsed, string, error) {
	var files targets.FileTarget
	out := &targets.Rehearsed{Absent: s.place.absent}
	changed := false
	for _, step := range s.order.Steps {
		if step.Change != nil {
			if files == nil {
				var err error
				if files, err = changer(s.order.Account); err != nil {
					return nil, faultChange, err
				}
			}
			c := *step.Change
			c.Content = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(step.Content)), nil }
			if err := files.Apply(context.Background(), c); err != nil {
				return nil, faultChange, fmt.Errorf("%s %s: %w", c.Op, c.Path, err)
			}
			changed = true
			continue
		}
		if changed {
			s.scan.look(nil) // what the changes did is no effect of the command
			changed = false
		}
		e, err := s.command(step.Command)
		if err != nil {
			return nil, faultWorld, err
		}
		s.scan.look(e)
		out.Effects = append(out.Effects, *e)
	}
	return out, "", nil
}
