package gate

import (
	"fmt"
	"sync"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
)

// progress is how far the script has come in the journal, and how much of it there is.
type progress struct {
	limit int          // operations of a session; 0 means no limit
	share func() error // says why nothing more may be kept for the session's identity
	mu    sync.Mutex

	journal  []journal.Operation // of an earlier run, to be taken up again
	at       int                 // place in the journal
	count    int                 // operations so far
	recorded int64               // bytes of commands' output that were kept
	// recordedBytes is what the commands themselves take in the journal.
	recordedBytes int
}

// maxRecorded bounds the output of all operations of a session that is kept, in bytes.
const maxRecorded = 64 << 20

// recordLimit is how much output of one more command is kept.
func (p *progress) recordLimit() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(1, min(output.MaxOperation, maxRecorded-p.recorded))
}

// keep counts recorded output of a command.
func (p *progress) keep(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded += n
}

// mayAdd says why nothing may be recorded now that an earlier run has not recorded. It comes before any content is kept.
func (p *progress) mayAdd() error {
	if p.recordedBefore() {
		return nil
	}
	return p.share()
}

// recordedBefore reports whether an earlier run has recorded operations that this one has not come to yet.
func (p *progress) recordedBefore() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at < len(p.journal)
}

// makeRoom counts new operations.
func (p *progress) makeRoom(fresh []*change.Pending) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit := p.limit; limit > 0 && p.count+len(fresh) > limit {
		return &journal.DenialError{Reason: fmt.Sprintf("limits.operations allows %d operations in a session", limit)}
	}
	bytes := 0
	for _, c := range fresh {
		if c.Op.File != nil {
			bytes += c.Op.File.Footprint()
		} else {
			bytes += c.Op.Command.Footprint()
		}
	}
	if p.recordedBytes += bytes; p.recordedBytes > maxJournal {
		return &journal.DenialError{Reason: fmt.Sprintf("the operations of a session take no more than %d bytes in all", maxJournal)}
	}
	p.count += len(fresh)
	return nil
}

// roomFor says early, before any content is kept, that the limit of operations leaves no room for so many more. What
// an earlier run has recorded needs none.
func (p *progress) roomFor(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := p.limit
	if again := len(p.journal) - p.at; limit > 0 && p.count+n-again > limit {
		return &journal.DenialError{Reason: fmt.Sprintf("limits.operations allows %d operations in a session", limit)}
	}
	return nil
}
