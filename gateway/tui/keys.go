package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// bind is a key binding: what the help calls it, what it does, and the keys.
func bind(name, does string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(name, does))
}

// All keys of the screen. The footer, the help and the matching are made from them.
var (
	keyLight          = bind("C", "colours for light or dark", "C")
	keyMouse          = bind("M", "mouse on or off", "M")
	keyUp             = bind("↑ k", "up", "up", "k", "ctrl+p")
	keyDown           = bind("↓ j", "down", "down", "j", "ctrl+n")
	keyPageUp         = bind("b", "page back", "pgup", "b", "ctrl+b", "ctrl+u")
	keyPage           = bind("space", "more", "space", "pgdown", "f", "ctrl+f", "ctrl+d")
	keyTop            = bind("g", "start", "home", "g")
	keyBottom         = bind("G", "end", "end", "G")
	keyOpen           = bind("⏎", "open", "enter", "right", "l")
	keyLook           = bind("a", "what waits", "a")
	keyApprove        = bind("a", "approve", "a")
	keyApproveSession = bind("a", "approve all of it", "a")
	keyOne            = bind("⏎", "this one alone", "enter", "l", "right")
	keyReject         = bind("r", "reject", "r", "x")
	keyNext           = bind("n", "next that waits", "n")
	keySeen           = bind("c", "results seen", "c")
	keyRecent         = bind("h", "recently decided", "h")
	keyOrder          = bind("o", "order: worst, newest, oldest", "o")
	keyFind           = bind("/", "find", "/")
	keyAlert          = bind("B", "bell and title, title, or silence", "B")
	keyArrowUp        = bind("↑", "up", "up")
	keyArrowDown      = bind("↓", "down", "down")
	keyGrant          = bind("t", "approve, and for longer", "t")
	keyRollback       = bind("z", "roll back", "z")
	keyForce          = bind("F", "overwrite what has changed since", "F")
	keyMark           = bind("v", "mark", "v")
	keyApproveAll     = bind("A", "approve whole sessions that were read", "A")
	keyRejectAll      = bind("R", "reject what is marked", "R")
	keyUndo           = bind("u", "undo", "u")
	keyNow            = bind("Y", "now", "Y")
	keyEnv            = bind("d", "details", "d", "e")
	keyTab            = bind("tab", "next pane", "tab")
	keyPane1          = bind("1", "operations", "1")
	keyPane2          = bind("2", "script", "2")
	keyPane3          = bind("3", "files", "3")
	keyPane4          = bind("4", "output", "4")
	keyPane5          = bind("5", "about", "5")
	keyWhole          = bind("w", "whole files or what changes", "w")
	keySide           = bind("s", "side by side or below each other", "s")
	keyBack           = bind("esc", "back", "esc", "q", "left")
	keyLeave          = bind("q", "leave", "q")
	keyHelp           = bind("?", "keys", "?")
	keyQuit           = bind("ctrl-c", "leave at once", "ctrl+c")
	keyYes            = bind("y", "yes, run it", "y")
	keyNo             = bind("esc", "no", "esc", "q")
	keyEnter          = bind("⏎", "confirm", "enter")
	keyCancel         = bind("esc", "not now", "esc")
)

// scrollKeys move in a text.
var scrollKeys = []key.Binding{keyUp, keyDown, keyPage, keyPageUp, keyTop, keyBottom, keyFind}

// key moves the page where k is a key for that.
func (p *page) key(k tea.KeyPressMsg) {
	switch {
	case key.Matches(k, keyFind):
		p.find, p.findAt = finder{prompt: prompt{open: true, field: field{limit: maxQuery}}}, p.top-1
	case key.Matches(k, keyEnter) && p.find.text() != "":
		p.findNext()
	case key.Matches(k, keyUp):
		p.scroll(-1)
	case key.Matches(k, keyDown):
		p.scroll(1)
	case key.Matches(k, keyPageUp):
		p.scroll(-max(p.height-1, 1))
	case key.Matches(k, keyPage):
		p.next()
	case key.Matches(k, keyTop):
		p.scroll(-len(p.rows))
	case key.Matches(k, keyBottom):
		p.scroll(len(p.rows))
	}
}

// footer is a line of the keys that matter most here, as many as fit; the help key always does.
func footer(width int, bindings ...key.Binding) line {
	last := keyWords(keyHelp)
	l, room := line{}, width-last.cells()
	for _, b := range bindings {
		words := join(keyWords(b), own(tonePlain, "  "))
		if words.cells() > room {
			continue
		}
		room -= words.cells()
		l = append(l, words...)
	}
	return append(l, last...).fit(width)
}

func keyWords(b key.Binding) line {
	return join(shown(toneKey, b.Help().Key), format(tonePlain, " %s", b.Help().Desc))
}
