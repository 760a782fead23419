package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON writes one value and a newline, for programs and for whoever looks at the same bytes in a terminal: what Line would not
// show as itself stands as \uNNNN (RFC 8259, section 7), which means the same to every reader of JSON. Such are DEL, the C1
// controls, formats, what turns the order of writing around, and marks that are drawn on other characters.
func JSON(w io.Writer, value any) error {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false) // a shell's < and > stay readable
	if err := e.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(plain.Bytes()))
	return err
}

// escapeJSON escapes characters in the strings of a JSON text; outside of strings there is nothing but ASCII. Controls below
// U+0020 are escaped already, and a newline that stands there parts values.
func escapeJSON(text []byte) []byte {
	var out []byte // nil as long as nothing was changed
	for at := 0; at < len(text); {
		r, size := rune(text[at]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[at:])
		}
		if r < 0x7f || isShown(r) && !isMark(r) && r != utf8.RuneError {
			if out != nil {
				out = append(out, text[at:at+size]...)
			}
			at += size
			continue
		}
		if out == nil {
			out = append(make([]byte, 0, len(text)+len(text)/8+16), text[:at]...)
		}
		if high, low := utf16.EncodeRune(r); r > 0xffff {
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		at += size
	}
	if out == nil {
		return text
	}
	return out
}
