package vfs_test

import (
	"fmt"
	"sync"
	"testing"

	"shannot-gateway/vfs"
)

// A tree is looked at by sessions while an engine adds byte code to it. The race detector is the judge.
func TestStaticTreeIsReadWhileItGrows(t *testing.T) {
	tree := &vfs.Static{}
	tree.AddFile("/lib/a.py", 0o644, []byte("a"))
	var readers sync.WaitGroup
	grown := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				if info, err := tree.Lstat("/lib"); err != nil || !info.IsDir() {
					t.Errorf("Lstat: %v, %v", info, err)
				}
				if list, err := tree.ReadDir("/lib"); err != nil || len(list) == 0 {
					t.Errorf("ReadDir: %v, %v", list, err)
				}
				select {
				case <-grown:
					return
				default:
				}
			}
		})
	}
	for n := range 200 {
		tree.AddFile(fmt.Sprintf("/lib/d%d/m.pyc", n), 0o644, nil)
	}
	close(grown)
	readers.Wait()
	info, err := tree.Lstat("/lib")
	if err != nil || info.Nlink != 202 {
		t.Errorf("links of a directory with 200 directories: %d, %v", info.Nlink, err)
	}
}
