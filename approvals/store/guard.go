package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"
)

// ErrPages is wrapped by errors about a database whose pages are damaged.
var ErrPages = errors.New("its pages are damaged")

// wayOut is what an operator does about a damaged database.
const wayOut = "with the gateway stopped, copy the state directory away and run: shannot-gateway store repair"

// damagedPages is the error about a damaged database.
func damagedPages(why string) error { return fmt.Errorf("%w: %s; %s", ErrPages, why, wayOut) }

// guard runs what looks at a database's pages. bbolt panics where one of them is damaged, and the kernel ends a process that
// looks at a part of the file that is not there any more: both are errors here that wrap ErrPages. Any other panic goes on.
func guard(look func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if !ofPages(p) {
			panic(p)
		}
		err = damagedPages(fmt.Sprint(p))
	}()
	return look()
}

// ofPages reports whether a panic that is being recovered from comes from a page: from bbolt itself, or from memory that the
// file does not fill.
func ofPages(p any) bool {
	if _, fault := p.(interface{ Addr() uintptr }); fault {
		return true
	}
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicked := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(frame.Function, "runtime."):
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

// database is bbolt's, whose damaged pages are errors.
type database struct {
	*bbolt.DB
	name   string                // of the file
	file   os.FileInfo           // as it was opened
	broken atomic.Pointer[error] // why nothing is written any more: see rollback
}

// errGone is wrapped by the error about a database whose file has lost its name. The kernel takes writes to it nevertheless, and
// forgets them with the last descriptor.
var errGone = errors.New("it was removed or replaced while the gateway has it open, so that nothing is kept any more: stop the gateway and put the state directory back")

// there reports errGone where the file that is open is not the one with its name.
func (d *database) there() error {
	now, err := os.Stat(d.name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), err == nil && !os.SameFile(now, d.file):
		return fmt.Errorf("%s: %w", d.name, errGone)
	case err != nil:
		return err
	}
	return nil
}

// close closes it, or says why it cannot be closed.
func (d *database) close() error {
	if broken := d.broken.Load(); broken != nil {
		return *broken // bbolt's lock is taken for good
	}
	return d.Close()
}

// view looks at the database.
func (d *database) view(look func(*bbolt.Tx) error) error {
	return guard(func() error { return d.View(look) })
}

// update changes the database between two changes of sessions.
func (d *database) update(change func(*bbolt.Tx) error) error {
	return d.transaction(func(tx *bbolt.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// transaction runs what changes the database, and commits.
func (d *database) transaction(change func(*bbolt.Tx) error) error {
	if broken := d.broken.Load(); broken != nil {
		return *broken
	}
	if err := d.there(); err != nil {
		return err
	}
	return guard(func() error {
		tx, err := d.Begin(true)
		if err != nil {
			return err
		}
		defer d.rollback(tx) // without effect after a commit
		return change(tx)
	})
}

// rollback ends a transaction. Where even that meets a damaged page, bbolt's lock of transactions stays taken: nothing is
// written any more.
func (d *database) rollback(tx *bbolt.Tx) {
	if err := guard(tx.Rollback); errors.Is(err, ErrPages) {
		d.broken.Store(&err)
	}
}
