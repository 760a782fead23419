package tui

import (
	"strings"

	"charm.land/lipgloss/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// tone is what a piece of text means. A tone never carries meaning alone: without colours the words still say it.
type tone int

const (
	tonePlain tone = iota
	toneDim
	toneStrong
	toneDanger
	toneCaution
	toneSafe
	toneUnknown
	toneAgent // the agent's own words, which prove nothing
	toneMark  // marks of the screen inside other text: cuts, continuations
	toneKey
	toneTab
	toneKeyword // of a program
	toneString
	toneComment
	toneFound // what was looked for
	toneAdded // of a difference
	toneRemoved
)

// styles are the tones in the terminal's own 16 colours, which its user has made readable on its background.
var styles = map[tone]lipgloss.Style{
	tonePlain:   lipgloss.NewStyle(),
	toneDim:     lipgloss.NewStyle().Faint(true),
	toneStrong:  lipgloss.NewStyle().Bold(true),
	toneDanger:  lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red),
	toneCaution: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Yellow),
	toneSafe:    lipgloss.NewStyle().Foreground(lipgloss.Green),
	toneUnknown: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Magenta),
	toneAgent:   lipgloss.NewStyle().Italic(true),
	toneMark:    lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	toneKey:     lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Cyan),
	toneTab:     lipgloss.NewStyle().Bold(true).Reverse(true),
	toneKeyword: lipgloss.NewStyle().Foreground(lipgloss.Magenta),
	toneString:  lipgloss.NewStyle().Foreground(lipgloss.Green),
	toneComment: lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	toneFound:   lipgloss.NewStyle().Reverse(true),
	toneAdded:   lipgloss.NewStyle().Foreground(lipgloss.Green),
	toneRemoved: lipgloss.NewStyle().Foreground(lipgloss.Red),
}

// onLight are the tones whose usual colour is hard to read on a light background: darker ones, from the 256 that
// terminals share. A terminal with 16 colours gets the nearest.
var onLight = map[tone]lipgloss.Style{
	toneDanger:  lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("124")),
	toneCaution: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("94")),
	toneSafe:    lipgloss.NewStyle().Foreground(lipgloss.Color("22")),
	toneUnknown: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("90")),
	toneMark:    lipgloss.NewStyle().Foreground(lipgloss.Color("24")),
	toneKey:     lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("24")),
	toneKeyword: lipgloss.NewStyle().Foreground(lipgloss.Color("90")),
	toneString:  lipgloss.NewStyle().Foreground(lipgloss.Color("22")),
	toneComment: lipgloss.NewStyle().Foreground(lipgloss.Color("24")),
	toneAdded:   lipgloss.NewStyle().Foreground(lipgloss.Color("22")),
	toneRemoved: lipgloss.NewStyle().Foreground(lipgloss.Color("124")),
}

// paint is the line as it is sent to the terminal.
func (l line) paint(light bool) string {
	var b strings.Builder
	for _, s := range l {
		if s.text.Empty() {
			continue
		}
		style := styles[s.tone]
		if other, ok := onLight[s.tone]; ok && light {
			style = other
		}
		b.WriteString(style.Render(s.text.String()))
	}
	return b.String()
}

// riskTone is the tone of a risk.
func riskTone(r policy.Risk) tone {
	switch r {
	case policy.Danger:
		return toneDanger
	case policy.Caution:
		return toneCaution
	case policy.Safe:
		return toneSafe
	case policy.Unknown:
		return toneUnknown
	}
	return toneUnknown
}

// riskWord is a risk as the screen says it, eight cells wide at most. A risk that it does not know is unknown.
func riskWord(r policy.Risk) render.Words {
	switch r {
	case policy.Danger:
		return "DANGER"
	case policy.Caution:
		return "caution"
	case policy.Safe:
		return "safe"
	case policy.Unknown:
		return "unknown"
	}
	return "unknown"
}

// riskOrder orders risks, the worst highest. What is not known may be anything, and ranks above caution.
func riskOrder(r policy.Risk) int {
	switch r {
	case policy.Danger:
		return 4
	case policy.Unknown:
		return 3
	case policy.Caution:
		return 2
	case policy.Safe:
		return 1
	}
	return 3
}

// statusTone is the tone of a session's status.
func statusTone(s journal.Status) tone {
	switch s {
	case journal.StatusHeld, journal.StatusParked:
		return toneCaution
	case journal.StatusRunning, journal.StatusDone:
		return toneSafe
	case journal.StatusFailed, journal.StatusRejected, journal.StatusCancelled, journal.StatusExpired, journal.StatusTimedOut, journal.StatusRolledBack, journal.StatusPlanned:
		return toneDim
	}
	return toneDim
}
