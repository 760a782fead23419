package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

// BenchmarkFirstPaint measures what it takes from the backend's answer to a painted list of 1,000 waiting sessions.
func BenchmarkFirstPaint(b *testing.B) {
	f := newFake()
	for i := range 1000 {
		x := held(fmt.Sprintf("a%07d", i), policy.Caution, "systemctl", "restart", fmt.Sprintf("unit%d", i))
		x.Script = strings.Repeat("print('hello')\n", 200)
		f.sessions = append(f.sessions, x)
	}
	for b.Loop() {
		m := benchModel(f)
		m.Update(m.load(0)())
		if s := m.Screen(); !strings.Contains(s, "1000 wait") {
			b.Fatal(s)
		}
	}
}

// BenchmarkKeyPress measures one key on an operation whose shell text has 10,000 lines.
func BenchmarkKeyPress(b *testing.B) {
	f := newFake(held("aaaa0001", policy.Caution, "sh", "-c", strings.Repeat("echo a line of ordinary length # and so on\n", 10000)))
	m := benchModel(f)
	m.session = newSessionView(f, "aaaa0001", true)
	m.session.output = &transcript{stop: func() {}}
	m.Update(m.load(0)())
	for b.Loop() {
		m.Update(tea.KeyPressMsg{Code: tea.KeyDown})
		if m.Screen() == "" {
			b.Fatal("nothing")
		}
	}
}

func benchModel(f *fakeBackend) *model {
	return newModel(context.Background(), &workers{}, Options{
		Backend: f, Identity: alice, Window: Size{220, 60}, Now: func() time.Time { return start },
	})
}

// BenchmarkKeyPressWhileSessionsStream measures one key on the output of a session that writes without a pause, as do
// 49 others, together with what the screen has to draw and to look up because of them in that time.
func BenchmarkKeyPressWhileSessionsStream(b *testing.B) {
	f := newFake()
	for i := range 50 {
		x := held(fmt.Sprintf("a%07d", i), policy.Caution, "systemctl", "restart", fmt.Sprintf("unit%d", i))
		x.Script = strings.Repeat("print('hello')\n", 200)
		f.sessions = append(f.sessions, x)
	}
	m := benchModel(f)
	m.session = newSessionView(f, "a0000001", false)
	o := &transcript{stop: func() {}, changed: make(chan struct{}, 1)}
	m.session.output, m.session.written = o, newPage()
	m.session.written.tail = true
	m.Update(m.load(0)())
	m.session.pane = paneOutput
	chunk := output.Chunk{Stream: output.Stdout, Data: []byte(strings.Repeat("a line of ordinary length \x1b[1m and so on\n", 400))}
	for range 20 {
		o.take(chunk)
	}
	for b.Loop() {
		o.take(chunk)
		outputMsg{o}.take(m)
		m.Update(m.load(0)())
		m.Update(tea.KeyPressMsg{Code: tea.KeyUp})
		if m.Screen() == "" {
			b.Fatal("nothing")
		}
	}
}
