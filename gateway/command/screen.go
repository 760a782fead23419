package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/tui"
)

const (
	// standardUndo is how long a decision on the screen can be undone before it counts: long enough to notice a slip,
	// short enough for an agent that waits.
	standardUndo = 3 * time.Second
	// maxUndo bounds what may be asked for instead.
	maxUndo = 10 * time.Minute
)

// alertNames are the values of --alert.
var alertNames = map[string]tui.Alert{"bell": tui.AlertBell, "title": tui.AlertTitle, "off": tui.AlertNone}

// screenOptions are the flags of the approval screen.
type screenOptions struct {
	tui.Options
	plain bool // lines instead of a screen
}

// screenOptions reads the flags of the approval screen. ok is false where the line decides instead: where it names
// what to decide on, or names a session and there is no terminal to show it on.
func (c *invocation) screenOptions() (o screenOptions, ok bool, err error) {
	names := texts(c.args)
	if slices.ContainsFunc(names, func(w string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		return strings.HasPrefix(w, "-") && slices.Contains([]string{"op", "digest", "danger", "grant", "vary", "until"}, name)
	}) {
		return o, false, nil
	}
	alert, background := "bell", ""
	o.Undo = standardUndo
	f := c.flags()
	f.StringVar(&alert, "alert", alert, "")
	f.DurationVar(&o.Undo, "undo", o.Undo, "")
	f.StringVar(&o.Colours, "colors", "", "")
	f.StringVar(&background, "background", "dark", "")
	f.BoolVar(&o.plain, "plain", false, "")
	words, err := parse(f, c.args)
	if err != nil {
		return o, false, err
	}
	if len(words) > 0 && c.Terminal == nil && !o.plain {
		return o, false, nil
	}
	if len(words) > 1 {
		return o, false, fmt.Errorf("what is %q for?", words[1])
	}
	if len(words) == 1 {
		if o.Session, err = cleanID(words[0]); err != nil {
			return o, false, err
		}
	}
	if o.Alert, ok = alertNames[alert]; !ok {
		return o, false, errors.New("--alert is bell, title or off")
	}
	if o.Undo < 0 || o.Undo > maxUndo {
		return o, false, fmt.Errorf("--undo is at most %v", maxUndo)
	}
	if !slices.Contains([]string{"", "none", "16", "256", "true"}, o.Colours) {
		return o, false, errors.New("--colors is none, 16, 256 or true")
	}
	if background != "dark" && background != "light" {
		return o, false, errors.New("--background is dark or light")
	}
	o.Light = background == "light"
	return o, true, nil
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
		o.Width, o.Height, o.Resize, o.Term, o.Environ = t.Width, t.Height, t.Resize, t.Type, t.Environ
	}
	show := v.Screen
	if o.plain {
		show = v.Plain
	}
	err := show(ctx, o.Options)
	if err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		c.notice("the approval screen ended: %s", render.Line(err.Error()))
		return ExitFault
	}
	return ExitOK
}
