package audit

import (
	"sync"
	"time"
)

// verifyEvery is how often a gateway verifies the log that it writes, and verifyPause how long it rests after each mebibyte.
const (
	verifyEvery = time.Hour
	verifyPause = 20 * time.Millisecond
)

// verified is what the last verification found.
type verified struct {
	mu     sync.Mutex
	result *Verification
	at     time.Time
	err    error
	again  chan struct{} // has a value where the next verification is due now
}

// soon has the next verification begin now.
func (v *verified) soon() {
	select {
	case v.again <- struct{}{}:
	default: // it does already
	}
}

// Watch verifies the log in the background, slowly: now, then every hour, and whenever it finds files taken away, until
// the log is closed. check says with what. The anchor of the check is the end of the log as it is known here.
func (l *Log) Watch(check Check) {
	check.pause = func() bool {
		select {
		case <-l.stop:
			return false
		case <-time.After(verifyPause):
			return true
		}
	}
	go func() {
		ticker := time.NewTicker(verifyEvery)
		defer ticker.Stop()
		for {
			l.verify(check)
			select {
			case <-l.stop:
				return
			case <-ticker.C:
			case <-l.watched.again:
			}
		}
	}()
}

func (l *Log) verify(check Check) {
	l.mu.Lock() // who is beginning new files at this moment has then begun them
	end := *l.last.Load()
	l.mu.Unlock()
	check.Anchor = &end
	v, err := Verify(l.o.Dir, check)
	select {
	case <-l.stop:
		return
	default:
	}
	if err != nil {
		l.o.Log.Error("verify the audit log", "error", err)
	} else if len(v.Findings) > 0 {
		l.o.Log.Error("the audit log is not as it was written; shannot-gateway audit verify names all of it",
			"findings", len(v.Findings), "first", v.Findings[0])
	}
	l.watched.mu.Lock()
	defer l.watched.mu.Unlock()
	l.watched.result, l.watched.err, l.watched.at = v, err, l.o.Now()
}

// Verified returns what the last verification of Watch found and when it ended; nil where none has ended yet.
func (l *Log) Verified() (*Verification, time.Time, error) {
	l.watched.mu.Lock()
	defer l.watched.mu.Unlock()
	return l.watched.result, l.watched.at, l.watched.err
}
