package audit

import (
	"fmt"
	"sync"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
)

// Transfer is what one client reads over SFTP. Of the files that an identity opens so many are written, one by one, as
// of authentications that failed: 100 at once, and then 5 a second. The rest are counted, so that nobody floods the log.
type Transfer struct {
	log     *Log
	id      string
	who     approvals.Identity
	limiter *limiter // of all transfers of the identity

	mu      sync.Mutex
	opened  uint64
	refused uint64
	left    uint64 // of both, that were not written
}

// Transfer records that a client begins to read. Nothing may be shown to it after an error.
func (l *Log) Transfer(id string, who approvals.Identity, address string) (*Transfer, error) {
	l.mu.Lock()
	limit := l.reads[who.Name]
	if limit == nil {
		limit = &limiter{now: l.o.Now}
		l.reads[who.Name] = limit
	}
	l.mu.Unlock()
	err := l.Append(Event{
		Event: TransferBegan, Session: id, Identity: who.Name, Role: string(who.Role), Key: who.Fingerprint, Address: address,
	})
	return &Transfer{log: l, id: id, who: who, limiter: limit}, err
}

// Read records that a file of a target was opened, before anything of it is shown, or that it was refused. asked is the
// name that the client gave, path the one that it led to. Nothing may be shown after an error.
func (t *Transfer) Read(target, asked, path string, refused error) error {
	kept, write := t.limiter.take()
	t.mu.Lock()
	if refused == nil {
		t.opened++
	} else {
		t.refused++
	}
	if !write {
		t.left++
	}
	t.mu.Unlock()
	if !write {
		if err := t.log.State(); err != nil { // what would be counted would be lost, too
			return failure(err)
		}
		return nil
	}
	ok := refused == nil
	e := Event{
		Event: Read, Session: t.id, Identity: t.who.Name, Key: t.who.Fingerprint, Target: target, Path: string(render.Line(path)), OK: &ok, Count: kept,
	}
	if asked != path {
		e.Summary = string(render.Line(asked))
	}
	if refused != nil {
		e.Reason = string(render.Line(refused.Error()))
	}
	return t.log.Append(e)
}

// End records that the client has left, and how much it has read.
func (t *Transfer) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.Later(Event{
		Event: TransferEnded, Session: t.id, Identity: t.who.Name, Key: t.who.Fingerprint, Count: t.left,
		Summary: fmt.Sprintf("%d files opened, %d refused; %d of them are not listed", t.opened, t.refused, t.left),
	})
}
