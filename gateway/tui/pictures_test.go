package tui

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// Measures of a picture, in pixels.
const (
	cellWidth, cellHeight = 8.4, 18.0
	margin                = 12.0
)

// palette are a dark terminal's sixteen colours.
var palette = [16]string{
	"#21252b", "#f0717a", "#98c379", "#e5c07b", "#61afef", "#d08ae8", "#56c8d8", "#c8ccd4",
	"#5c6370", "#ff8a92", "#b5e090", "#ffd68a", "#82c4ff", "#e2a9f3", "#7fe0ee", "#ffffff",
}

const ground, ink = "#1b1f26", "#c8ccd4"

// picture is a terminal as a picture: what it holds, cell by cell, and nothing else.
func picture(screen *vt.Emulator) string {
	w, h := screen.Width(), screen.Height()
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.1f %.1f\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n",
		float64(w)*cellWidth+2*margin, float64(h)*cellHeight+2*margin)
	fmt.Fprintf(&b, "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"%s\"/>\n", ground)
	for y := range h {
		for x := 0; x < w; {
			n, text, style := piece(screen, x, y)
			if strings.TrimSpace(text) != "" || style.Attrs&uv.AttrReverse != 0 {
				drawPiece(&b, x, y, n, text, style)
			}
			x += n
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// piece is a run of cells in one style: how many, their text and their style.
func piece(screen *vt.Emulator, x, y int) (n int, text string, style uv.Style) {
	var b strings.Builder
	for x+n < screen.Width() {
		c := screen.CellAt(x+n, y)
		if c == nil {
			c = &uv.Cell{Content: " ", Width: 1}
		}
		if n == 0 {
			style = c.Style
		} else if !c.Style.Equal(&style) {
			break
		}
		content := c.Content
		if content == "" {
			content = " "
		}
		b.WriteString(content)
		n += max(c.Width, 1)
	}
	return n, b.String(), style
}

func drawPiece(b *strings.Builder, x, y, n int, text string, style uv.Style) {
	fg, bg := colourOf(style.Fg, ink), colourOf(style.Bg, "")
	if style.Attrs&uv.AttrReverse != 0 {
		fg, bg = ground, colourOf(style.Fg, ink)
	}
	left, top := margin+float64(x)*cellWidth, margin+float64(y)*cellHeight
	if bg != "" {
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", left, top, float64(n)*cellWidth, cellHeight, bg)
	}
	extra := ""
	if style.Attrs&uv.AttrBold != 0 {
		extra += " font-weight=\"bold\""
	}
	if style.Attrs&uv.AttrItalic != 0 {
		extra += " font-style=\"italic\""
	}
	if style.Attrs&uv.AttrFaint != 0 {
		extra += " opacity=\"0.6\""
	}
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" textLength=\"%.1f\" xml:space=\"preserve\" fill=\"%s\"%s>%s</text>\n",
		left, top+13.5, float64(n)*cellWidth, fg, extra, html.EscapeString(text))
}

func colourOf(c color.Color, otherwise string) string {
	switch c := c.(type) {
	case nil:
		return otherwise
	case ansi.BasicColor:
		return palette[c&15]
	case ansi.IndexedColor:
		if c < 16 {
			return palette[c]
		}
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
