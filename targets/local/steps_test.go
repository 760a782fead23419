//go:build linux

package local

import (
	"errors"
	"testing"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
	"shannot-gateway/targets/change/changetest"
)

func open(t *testing.T, c *targets.Change) *fileSystem {
	t.Helper()
	fs, err := newFileSystem(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestStepsOfAChange(t *testing.T) {
	changetest.Run(t, changetest.Backend{Target: newLocal(t, ""), Atomic: true, Open: func(t *testing.T, c *targets.Change) (change.FS, func()) {
		fs := open(t, c)
		return fs, fs.close
	}})
}

// plainFileSystem can give no file a free name, nor exchange two, as some file systems cannot.
type plainFileSystem struct{ *fileSystem }

func (plainFileSystem) Rename(string, string) error   { return errors.ErrUnsupported }
func (plainFileSystem) Exchange(string, string) error { return errors.ErrUnsupported }

func TestStepsOfAChangeOnAPlainFileSystem(t *testing.T) {
	changetest.Run(t, changetest.Backend{Target: newLocal(t, ""), Plain: true, Open: func(t *testing.T, c *targets.Change) (change.FS, func()) {
		fs := open(t, c)
		return plainFileSystem{fs}, fs.close
	}})
}
