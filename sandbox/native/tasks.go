//go:build linux && (amd64 || arm64)

package native

import (
	"sync"

	"shannot-gateway/vfs/tasks"
)

// Threads of interpreters and of the gateway are counted together by the kernel, and a gateway that gets none ends. All sessions
// have half of them in sum, and the second half of that is for sessions that have few.

// threadsWord is what they are called where they are too many together with those of other sessions.
const threadsWord = "threads, beside those of other sessions"

// taskShare is the threads of all process trees.
type taskShare struct {
	mu   sync.Mutex
	most int // 0 for half of what the kernel leaves
	used int
}

// set says that a process tree has so many threads now, where it had others. It reports false, and changes nothing, where they are too
// many.
func (t *taskShare) set(had *int, now int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	most := t.most
	if most == 0 {
		most = tasks.Most() / 2
	}
	few := min(max(4, most/64), 16) // 64 sessions have so many in any case, where there are so many
	used := t.used + now - *had
	if now > *had && (used > most || now > few && used > most/2) {
		return false
	}
	t.used, *had = used, now
	return true
}

// share counts threads of the process tree's, and tells where they are too many together with those of others.
func (f *processTree) share(threads int) bool {
	ok := f.engine.tasks.set(&f.counted, threads)
	if !ok {
		f.tellBound(threadsWord, threads-1)
	}
	return ok
}

// shareAnew gives back the threads that have ended.
func (f *processTree) shareAnew() {
	if f.counts() {
		f.engine.tasks.set(&f.counted, f.threads())
	}
}

// counts reports whether threads of the process tree are counted.
func (f *processTree) counts() bool {
	f.engine.tasks.mu.Lock()
	defer f.engine.tasks.mu.Unlock()
	return f.counted > 0
}
