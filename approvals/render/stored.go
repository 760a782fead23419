package render

import "strings"

// Stored passes on text that was rendered when it was recorded, such as a summary or a reason. It is rendered now where
// the renderer would change anything but the backslashes that it itself put there.
func Stored(s string) Text {
	bare := strings.ReplaceAll(s, `\`, "")
	if Line(bare).s == bare {
		return Text{s}
	}
	return Line(s)
}
