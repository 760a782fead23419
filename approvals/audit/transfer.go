package audit

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// Transfer is what one client reads over SFTP. Every file that it opens is in the log before the client sees anything of
// it. An identity that opens many is slowed down, so that nobody floods the log.
type Transfer struct {
	log    *Log
	id     string
	who    journal.Identity
	reader *reader

	mu      sync.Mutex
	opened  uint64
	refused uint64
}

// reader is an identity that reads, over however many connections.
type reader struct {
	pace pace
	// mu is held while a line is written. The identity's clients wait for each other here. Others who write to the log
	// wait for one of them at most.
	mu sync.Mutex
}

// Transfer records that a client begins to read. Nothing may be shown to it after an error.
func (l *Log) Transfer(id string, who journal.Identity, address string) (*Transfer, error) {
	l.mu.Lock()
	r := l.reads[who.Name]
	if r == nil {
		r = &reader{}
		l.reads[who.Name] = r
	}
	l.mu.Unlock()
	err := l.Append(Event{
		owner: who.Name, Event: TransferBegan, Session: id, Identity: who.Name, Role: string(who.Role), Key: who.Fingerprint, Address: address,
	})
	return &Transfer{log: l, id: id, who: who, reader: r}, err
}

// Read records, before the client sees anything of it, that a file of a target was opened, or that it was refused. asked
// is the name that the client gave, path the one that it led to. Read returns once the names are in the log. A client
// that is faster than its identity may be waits here, until ctx ends. After an error nothing may be shown.
func (t *Transfer) Read(ctx context.Context, target, asked, path string, refused error) error {
	events := t.events(target, asked, path, refused)
	if err := t.log.wait(ctx, t.reader.pace.reserve(t.log.o.Now(), len(events))); err != nil {
		return fmt.Errorf("wait for a place in the audit log: %w", err)
	}
	t.mu.Lock()
	if refused == nil {
		t.opened++
	} else {
		t.refused++
	}
	t.mu.Unlock()
	t.reader.mu.Lock()
	defer t.reader.mu.Unlock()
	return t.log.Append(events...)
}

// events are the lines about one file: several for a name that is too long for one.
func (t *Transfer) events(target, asked, path string, refused error) []Event {
	ok := refused == nil
	first := Event{owner: t.who.Name, Event: Read, Session: t.id, Identity: t.who.Name, Key: t.who.Fingerprint, Target: target, OK: &ok}
	if refused != nil {
		first.Reason = render.Line(refused.Error()).String()
	}
	if len(path) > maxPath || len(asked) > maxPath { // no file has such a name
		first.Path, first.Hash = render.Line(shorten(path, maxPart)).String(), hashOf([]byte(path))
		return []Event{first}
	}
	paths, names := parts(render.Line(path).String()), []string(nil)
	if asked != path {
		names = parts(render.Line(asked).String())
	}
	n := max(len(paths), len(names))
	events := make([]Event, n)
	for i := range events {
		e := first
		if n > 1 {
			e.Part, e.Parts = i+1, n
		}
		if i < len(paths) {
			e.Path = paths[i]
		}
		if i < len(names) {
			e.Summary = names[i]
		}
		events[i] = e
	}
	return events
}

// maxPath is the length of the longest name that a file can be opened by, in bytes (PATH_MAX).
const maxPath = 4096

// maxPart is how much of a name stands in one line, in bytes as it is shown: two of them fit, with every byte escaped.
const maxPart = 2500

// parts cuts a long name before slashes, so that none of the names in it is torn.
func parts(name string) (out []string) {
	for len(name) > maxPart {
		at := strings.LastIndexByte(name[:maxPart], '/')
		if at <= 0 {
			at = len(strings.ToValidUTF8(name[:maxPart], ""))
		}
		out, name = append(out, name[:at]), name[at:]
	}
	return append(out, name)
}

// End records that the client has left, and how much it has read.
func (t *Transfer) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.Later(Event{
		owner: t.who.Name, Event: TransferEnded, Session: t.id, Identity: t.who.Name, Key: t.who.Fingerprint,
		Summary: fmt.Sprintf("%d files opened, %d refused", t.opened, t.refused),
	})
}
