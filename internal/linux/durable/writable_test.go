package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestADirectoryThatTakesNoFilesSaysWhy(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shut := filepath.Join(dir, "shut")
	if err := os.Mkdir(shut, 0o500); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{dir: nil, file: syscall.ENOTDIR, filepath.Join(dir, "none"): fs.ErrNotExist, shut: fs.ErrPermission} {
		if name == shut && os.Geteuid() == 0 {
			continue // root may
		}
		if err := Writable(name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("it left %v, %v", left, err)
	}
}
