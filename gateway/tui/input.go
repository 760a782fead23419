package tui

import (
	"strconv"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// maxPaste bounds one paste in bytes; what follows is dropped. The only field that takes a paste is shorter.
const maxPaste = 4096

// pasteEnd ends a bracketed paste (xterm control sequences, "Bracketed Paste Mode").
const pasteEnd = "\x1b[201~"

// decoder turns the bytes of a terminal into keys and pastes, one byte at a time and in bounded memory. It knows the few
// sequences that the screen uses (ECMA-48 control sequences, xterm's cursor and editing keys, bracketed paste). It
// swallows every other sequence whole, a terminal's report included: none can become a key.
type decoder struct {
	state   decoderState
	params  []byte // of a control sequence, bounded
	partial []byte // an unfinished UTF-8 sequence
	paste   []byte
	matched int // how much of pasteEnd has been seen
	skip    int // bytes of an old mouse report that are still to come
}

type decoderState int

const (
	stateGround     decoderState = iota
	stateEscape                  // after ESC
	stateControl                 // after ESC [
	stateSingle                  // after ESC O
	stateText                    // in OSC, DCS, APC, PM, SOS: until BEL or ESC \
	stateTextEscape              // the same, after ESC
	stateMouse                   // the three bytes after ESC [ M: an old mouse report
	statePaste                   // between ESC [ 200 ~ and ESC [ 201 ~
)

// maxParam bounds the parameters of a control sequence in bytes; ours are shorter.
const maxParam = 32

// pending reports whether what follows depends on time: a lone ESC is the Escape key after a while.
func (d *decoder) pending() bool { return d.state != stateGround && d.state != statePaste }

// expire ends a sequence that was not finished in time.
func (d *decoder) expire() []tea.Msg {
	was := d.state
	if !d.pending() {
		return nil
	}
	d.state = stateGround
	if was == stateEscape {
		return []tea.Msg{tea.KeyPressMsg{Code: tea.KeyEscape}}
	}
	return nil
}

// next takes one byte and returns what it completes.
func (d *decoder) next(b byte) []tea.Msg {
	switch d.state {
	case stateGround:
		return d.plain(b)
	case stateEscape:
		return d.escaped(b)
	case stateControl:
		return d.controlled(b)
	case stateSingle:
		d.state = stateGround
		return keys(cursorKeys[b])
	case stateText, stateTextEscape:
		switch {
		case b == 0x07 || b == '\\' && d.state == stateTextEscape:
			d.state = stateGround
		case b == 0x1b:
			d.state = stateTextEscape
		default:
			d.state = stateText
		}
		return nil
	case stateMouse:
		if d.skip--; d.skip == 0 {
			d.state = stateGround
		}
	case statePaste:
		return d.pasted(b)
	}
	return nil
}

// plain takes a byte outside of any sequence.
func (d *decoder) plain(b byte) []tea.Msg {
	if len(d.partial) > 0 || b >= utf8.RuneSelf {
		return d.utf8(b)
	}
	switch {
	case b == 0x1b:
		d.state = stateEscape
		return nil
	case b == '\r' || b == '\n':
		return keys(tea.KeyEnter)
	case b == '\t':
		return keys(tea.KeyTab)
	case b == 0x7f || b == 0x08:
		return keys(tea.KeyBackspace)
	case b == 0:
		return nil
	case b < 0x20:
		return []tea.Msg{tea.KeyPressMsg{Code: rune(b|0x40) | 0x20, Mod: tea.ModCtrl}}
	}
	return []tea.Msg{tea.KeyPressMsg{Code: rune(b), Text: string(rune(b))}}
}

// utf8 collects a character of several bytes. Bytes that are none are dropped.
func (d *decoder) utf8(b byte) []tea.Msg {
	if len(d.partial) > 0 && b&0xc0 != 0x80 {
		d.partial = d.partial[:0]
		return d.plain(b)
	}
	d.partial = append(d.partial, b)
	if !utf8.FullRune(d.partial) {
		return nil
	}
	r, _ := utf8.DecodeRune(d.partial)
	d.partial = d.partial[:0]
	if r == utf8.RuneError || r < 0xa0 {
		return nil
	}
	return []tea.Msg{tea.KeyPressMsg{Code: r, Text: string(r)}}
}

func (d *decoder) escaped(b byte) []tea.Msg {
	switch b {
	case '[':
		d.state, d.params = stateControl, d.params[:0]
	case 'O':
		d.state = stateSingle
	case ']', 'P', '_', '^', 'X':
		d.state = stateText
	case 0x1b:
		return []tea.Msg{tea.KeyPressMsg{Code: tea.KeyEscape}}
	default:
		// Alt and a key: no key of ours, and must not count as the key alone.
		d.state = stateGround
	}
	return nil
}

func (d *decoder) controlled(b byte) []tea.Msg {
	switch {
	case b == 0x1b:
		d.state = stateEscape
		return nil
	case b < 0x20 || b > 0x7e:
		d.state = stateGround
		return nil
	case b < 0x40:
		if len(d.params) < maxParam {
			d.params = append(d.params, b)
		}
		return nil
	}
	d.state = stateGround
	params := string(d.params)
	switch {
	case b == '~' && params == "200":
		d.state, d.paste, d.matched = statePaste, d.paste[:0], 0
		return nil
	case b == 'M' && params == "":
		// A terminal that does not know how to report the mouse in numbers (SGR, mode 1006): the three bytes that
		// follow may look like any key, and must not count as one.
		d.state, d.skip = stateMouse, 3
		return nil
	case b == 'M' && params[0] == '<':
		return mouseReport(params[1:])
	case b == '~':
		return keys(editingKeys[params])
	case params == "" || strings.HasPrefix(params, "1;"):
		return keys(cursorKeys[b])
	}
	return nil
}

// mouseReport reads "button;column;row" of a press (xterm control sequences, "SGR Mouse Mode"): the first button and
// the wheel are known.
func mouseReport(params string) []tea.Msg {
	var n [3]int
	parts := strings.Split(params, ";")
	if len(parts) != len(n) {
		return nil
	}
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || i > 0 && v == 0 {
			return nil
		}
		n[i] = int(v)
	}
	at := tea.Mouse{X: n[1] - 1, Y: n[2] - 1}
	switch n[0] {
	case 0:
		at.Button = tea.MouseLeft
		return []tea.Msg{tea.MouseClickMsg(at)}
	case 64:
		at.Button = tea.MouseWheelUp
		return []tea.Msg{tea.MouseWheelMsg(at)}
	case 65:
		at.Button = tea.MouseWheelDown
		return []tea.Msg{tea.MouseWheelMsg(at)}
	}
	return nil
}

func (d *decoder) pasted(b byte) []tea.Msg {
	if b == pasteEnd[d.matched] {
		d.matched++
		if d.matched < len(pasteEnd) {
			return nil
		}
		d.state = stateGround
		return []tea.Msg{tea.PasteMsg{Content: strings.ToValidUTF8(string(d.paste), "")}}
	}
	d.keep(pasteEnd[:d.matched])
	d.matched = 0
	if b == pasteEnd[0] {
		d.matched = 1
		return nil
	}
	d.keep(string([]byte{b}))
	return nil
}

// keep adds s to the paste while it fits.
func (d *decoder) keep(s string) {
	if len(d.paste)+len(s) <= maxPaste {
		d.paste = append(d.paste, s...)
	}
}

var cursorKeys = map[byte]rune{
	'A': tea.KeyUp, 'B': tea.KeyDown, 'C': tea.KeyRight, 'D': tea.KeyLeft, 'H': tea.KeyHome, 'F': tea.KeyEnd,
}

var editingKeys = map[string]rune{
	"1": tea.KeyHome, "7": tea.KeyHome, "4": tea.KeyEnd, "8": tea.KeyEnd, "5": tea.KeyPgUp, "6": tea.KeyPgDown,
	"3": tea.KeyDelete,
}

func keys(code rune) []tea.Msg {
	if code == 0 {
		return nil
	}
	return []tea.Msg{tea.KeyPressMsg{Code: code}}
}
