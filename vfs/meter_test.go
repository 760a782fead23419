package vfs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// A short path of many links leads a walk far. The walk tells how far, and ends when it is told to.
func TestLongWalksAskTheirMeter(t *testing.T) {
	s, err := NewSession(Config{Scratch: []string{"/tmp"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Mkdir("/tmp/d", 0o700); err != nil {
		t.Fatal(err)
	}
	deep := "/tmp/d/.." + strings.Repeat("/d/..", 600)
	for i := range 38 {
		target := deep
		if i > 0 {
			target = fmt.Sprintf("/tmp/l%d/", i-1) + strings.Repeat("d/../", 600)
		}
		if err := s.Symlink(target, fmt.Sprintf("/tmp/l%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	told := 0
	s.SetMeter(func(components int) error { told += components; return nil })
	if _, err := s.Stat("/tmp/d"); err != nil || told != 0 {
		t.Errorf("a short walk told %d, %v", told, err)
	}
	if _, err := s.Stat("/tmp/l37"); err != nil || told < 40_000 {
		t.Errorf("a long walk told %d, %v", told, err)
	}
	told = 0
	s.SetMeter(func(components int) error {
		if told += components; told > 1000 {
			return syscall.EINTR
		}
		return nil
	})
	for name, walk := range map[string]func() error{
		"stat":      func() error { _, err := s.Stat("/tmp/l37"); return err },
		"canonical": func() error { _, err := s.Canonical("/tmp/l37"); return err },
		"open":      func() error { _, err := s.Open("/tmp/l37", syscall.O_RDONLY, 0); return err },
		"mkdir":     func() error { return s.Mkdir("/tmp/l37/x", 0o700) },
		"rename":    func() error { return s.Rename("/tmp/d", "/tmp/l37/y", 0) },
	} {
		told = 0
		if err := walk(); !errors.Is(err, syscall.EINTR) || told > 2000 {
			t.Errorf("%s went on for %d components and ended with %v", name, told, err)
		}
	}
}
