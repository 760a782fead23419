package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/internal/commandline"
)

const (
	// standardUndo is how long a decision on the screen can be undone before it counts: long enough to notice a slip,
	// short enough for an agent that waits.
	standardUndo = 3 * time.Second
	// maxUndo bounds what may be asked for instead.
	maxUndo = 10 * time.Minute
	// standardRead is how long text must be on the screen to count as read: nobody reads a screenful faster.
	standardRead = time.Second
	// maxRead bounds what may be asked for instead.
	maxRead = time.Minute
	// settleTime is how long keys that decide do nothing after the screen has changed by itself: a key that was under way when it
	// did was meant for something else.
	settleTime = 500 * time.Millisecond
)

// alertNames are the values of --alert.
var alertNames = map[string]tui.Alert{"bell": tui.AlertBell, "title": tui.AlertTitle, "off": tui.AlertNone}

// screenOptions are the flags of the approval screen.
type screenOptions struct {
	tui.Options
	plain bool // lines instead of a screen
}

// screenFlags are the flags of the approval screen, as they are written.
type screenFlags struct {
	plain                      bool
	alert, colours, background string
	undo, read                 time.Duration
}

func (s *screenFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&s.plain, "plain", false, "the screen as numbered lines and typed answers, for screen readers")
	f.StringVar(&s.alert, "alert", "bell", "`HOW` to call when something new waits: bell, title or off")
	f.DurationVar(&s.undo, "undo", standardUndo, "the `DURATION` for which a decision on the screen can be undone; 0s: not at all")
	f.DurationVar(&s.read, "read", standardRead, "the `DURATION` for which text must be on the screen to count as read")
	f.StringVar(&s.colours, "colors", "", "colours: `HOW` is none, 16, 256 or true, else what the terminal says; NO_COLOR works")
	f.StringVar(&s.background, "background", "dark", "`WHICH` background the terminal has: dark or light")
}

// options are what the flags say, for the session that the line names.
func (s *screenFlags) options(words []string) (o screenOptions, err error) {
	o.plain, o.Pace, o.Colours = s.plain, tui.Pace{Undo: s.undo, Read: s.read, Settle: settleTime}, s.colours
	if len(words) > 1 {
		return o, commandline.Unexpected(words[1])
	}
	if len(words) == 1 {
		if o.Session, err = cleanID(words[0]); err != nil {
			return o, err
		}
	}
	ok := false
	if o.Alert, ok = alertNames[s.alert]; !ok {
		return o, errors.New("--alert is bell, title or off")
	}
	if s.undo < 0 || s.undo > maxUndo {
		return o, fmt.Errorf("--undo is at most %v", maxUndo)
	}
	if s.read < 0 || s.read > maxRead {
		return o, fmt.Errorf("--read is at most %v", maxRead)
	}
	if !slices.Contains([]string{"", "none", "16", "256", "true"}, o.Colours) {
		return o, errors.New("--colors is none, 16, 256 or true")
	}
	if s.background != "dark" && s.background != "light" {
		return o, errors.New("--background is dark or light")
	}
	o.Light = s.background == "light"
	return o, nil
}

// screen opens the approval screen on the client's terminal.
func (v *Verbs) screen(ctx context.Context, c *invocation, o screenOptions) int {
	if c.Terminal == nil && !o.plain {
		return c.usage(errors.New("the approval screen needs a terminal: ssh -t HOST approve; without one: approve --plain, or list, show ID, and the line that show ends with"))
	}
	if _, err := v.members(c, o.Session); err != nil { // of a session the screen itself says so
		return c.fail(o.Session, err)
	}
	o.Backend, o.Identity, o.In, o.Out, o.Now = v.Sessions, c.Identity, c.Stdin, c.Stdout, v.Now
	if t := c.Terminal; t != nil {
		o.Window, o.Resize, o.Term, o.Environ = tui.Size{Width: t.Width, Height: t.Height}, t.Resize, t.Type, t.Environ
	}
	show := v.Fronts.Screen
	if o.plain {
		show = v.Fronts.Plain
	}
	err := show(ctx, o.Options)
	if errors.Is(err, journal.ErrShutdown) {
		c.notice("%v", err)
		return ExitOK
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		c.notice("the approval screen ended: %s", render.Line(err.Error()))
		return ExitFault
	}
	return ExitOK
}
