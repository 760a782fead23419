package vfs

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// What shows a file's content of the target is told, by the name that it has there; what does not, is not.
func TestFilesWhoseContentIsShownAreTold(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	var told []string
	mounted := &Static{}
	s, err := NewSession(Config{Base: NewHost(), Scratch: []string{"/scratch"}, Opened: func(name string) { told = append(told, name) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Mount(Mount{Path: "/mounted", Source: mounted}); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		what  string
		do    func() error
		tells string
	}{
		{"open", func() error { return openClose(s, at("a"), syscall.O_RDONLY) }, "a"},
		{"open through a link", func() error { return openClose(s, at("link"), syscall.O_RDONLY) }, "a"},
		{"open for appending, which copies it", func() error { return openClose(s, at("b"), syscall.O_RDWR|syscall.O_APPEND) }, "b"},
		{"open of the copy", func() error { return openClose(s, at("b"), syscall.O_RDONLY) }, ""},
		{"rename, which copies it", func() error { return s.Rename(at("c"), "/scratch/c", 0) }, "c"},
		{"open for its name alone", func() error { return openClose(s, at("d"), oPath) }, ""},
		{"truncate", func() error { return openClose(s, at("d"), syscall.O_WRONLY|syscall.O_TRUNC) }, ""},
		{"stat", func() error { _, err := s.Stat(at("a")); return err }, ""},
		{"a directory", func() error { return openClose(s, dir, syscall.O_RDONLY) }, ""},
		{"a file of its own", func() error { return openClose(s, "/scratch/new", syscall.O_CREAT|syscall.O_RDWR) }, ""},
		{"a file that is not there", func() error { _ = openClose(s, at("none"), syscall.O_RDONLY); return nil }, ""},
	} {
		told = nil
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		var want []string
		if c.tells != "" {
			want = []string{at(c.tells)}
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s tells %q, want %q", c.what, told, want)
		}
	}
}

func openClose(s *Session, name string, flags int) error {
	f, err := s.Open(name, flags, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}
