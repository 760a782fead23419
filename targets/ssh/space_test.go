package ssh

import (
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
	"shannot-gateway/vfs"
)

func TestFileSystemsOfATargetAreAsLargeAsItSays(t *testing.T) {
	view := connect(t, sshdtest.Start(t)).View(targets.ViewOptions{})
	t.Cleanup(func() { _ = view.Close() })
	s, err := vfs.NewSession(vfs.Config{Base: view, Scratch: []string{"/tmp"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, name := range []string{"/", "/etc/passwd", "/proc"} {
		var fs unix.Statfs_t // the server is this machine's own
		if err := unix.Statfs(name, &fs); err != nil {
			t.Fatal(err)
		}
		space, ok, err := s.Space(name)
		if err != nil || !ok || space.Blocks != fs.Blocks || space.BlockSize != int64(fs.Bsize) || space.FragmentSize == 0 {
			t.Errorf("%s: %+v, %v, %v; want %+v", name, space, ok, err, fs)
		}
	}
	if _, ok, err := s.Space("/tmp"); ok || err != nil {
		t.Errorf("scratch is the target's: %v", err)
	}
	if _, _, err := s.Space("/no/such"); err != unix.ENOENT {
		t.Errorf("what is not there: %v", err)
	}
}
