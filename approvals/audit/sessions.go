package audit

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// errFound ends a search.
var errFound = errors.New("found")

// Sessions reports whether the log of a directory tells of a session; false where there is no log.
func Sessions(dir string) (bool, error) {
	names, err := segments(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for i := len(names) - 1; i >= 0 && err == nil; i-- {
		err = tellsOfSession(filepath.Join(dir, names[i]))
	}
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

func tellsOfSession(name string) error {
	f, err := os.Open(name) // #nosec G304 -- a file of our own
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return readLines(f, func(text []byte, _ int64, whole bool) error {
		var l struct {
			Event string `json:"event"`
		}
		if !whole || json.Unmarshal(text, &l) != nil {
			return nil
		}
		switch l.Event { // the configuration may leave some of them out
		case Session, Operation, Decision, Execution, Result, Status, Ended:
			return errFound
		}
		return nil
	})
}
