package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// Alert says how the screen draws attention when something new waits.
type Alert int

// Alerts.
const (
	AlertBell  Alert = iota // the terminal's bell, and its window's title
	AlertTitle              // the title alone
	AlertNone
	alerts
)

var alertNames = [alerts]render.Words{"the bell rings and the window's title counts", "the window's title counts", "silence"}

// bellPause is the least time between two bells: a flood of requests must not become a noise that one turns off.
const bellPause = 2 * time.Second

// bell is how the screen draws attention.
type bell struct {
	alert Alert
	known map[string]int // the last operation that waited, by session, at the last look; nil before the first
	rang  time.Time
}

// alarm rings where something waits that did not wait at the last look.
func (b *bell) alarm(m *model) tea.Cmd {
	before := b.known
	b.known = make(map[string]int, len(m.inbox.waiting))
	arrived := false
	for i := range m.inbox.waiting {
		r := &m.inbox.waiting[i]
		b.known[r.id] = r.last
		fresh := before != nil && r.waiting > 0 && r.last > before[r.id] && !r.ownedBy(m.me)
		arrived = arrived || fresh
		if fresh && m.session != nil && r.id != m.session.id {
			m.say(join(own(toneCaution, "New: "), own(riskTone(r.risk), riskWord(r.risk)+" "), r.what.fit(60), own(tonePlain, " · "), shown(tonePlain, r.agent), own(tonePlain, " on "), shown(tonePlain, r.target)))
		}
	}
	now := m.now()
	if !arrived || b.alert != AlertBell || !b.rang.IsZero() && now.Sub(b.rang) < bellPause {
		return nil
	}
	b.rang = now
	return tea.Raw("\a")
}

// title is the window's title, of the screen's own words alone.
func (b *inbox) title(alert Alert) string {
	if alert == AlertNone || !b.loaded {
		return ""
	}
	n := len(b.waiting)
	if d := b.count(policy.Danger); d > 0 {
		return fmt.Sprintf("(%d, %d DANGER) Shannot", n, d)
	}
	return fmt.Sprintf("(%d) Shannot", n)
}
