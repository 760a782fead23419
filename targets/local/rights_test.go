//go:build linux

package local

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
)

// closed makes a directory that anybody may pass, with files of root's in it and in a directory that is closed.
func closed(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	top, err := os.MkdirTemp("", "shannot-closed-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil { // #nosec G302 -- for the account
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(top, "private"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(top, "private", "program"), "#!/bin/sh\n", 0o755)
	put(t, filepath.Join(top, "rootprogram"), "#!/bin/sh\n", 0o744)
	put(t, filepath.Join(top, "program"), "#!/bin/sh\n", 0o755)
	put(t, filepath.Join(top, "secret"), "secret", 0o600)
	return top
}

// What is there where the account may not look cannot be found out by starting something.
func TestProgramsAndDirectoriesAreTheAccounts(t *testing.T) {
	top := closed(t)
	l := newLocal(t, "nobody")
	for name, want := range map[string]error{
		"/private/program": syscall.EACCES, "/private/none": syscall.EACCES, "/rootprogram": syscall.EACCES, "/program": nil, "/none": syscall.ENOENT,
	} {
		if _, err := l.Resolve(t.Context(), top+name, "/"); err != want {
			t.Errorf("resolve %s: %v, not %v", name, err, want)
		}
		if _, err := l.Resolve(t.Context(), "."+name, top); err != want {
			t.Errorf("resolve .%s: %v, not %v", name, err, want)
		}
	}
	for dir, want := range map[string]error{"/private": syscall.EACCES, "/private/none": syscall.EACCES, "/none": syscall.ENOENT, "": nil} {
		c := shell(l, "true", nil)
		c.Dir = top + dir
		p, err := l.Start(t.Context(), c)
		if err != want {
			t.Errorf("start in %s: %v, not %v", dir, err, want)
		}
		if err == nil {
			_, _ = p.Wait()
		}
	}
}

// What is told of a file before it is changed is what the account may know of it.
func TestStateIsWhatTheAccountMayKnow(t *testing.T) {
	top := closed(t)
	l := newLocal(t, "nobody")
	s, err := l.State(t.Context(), top+"/secret")
	if err != nil || s.Hashed || s.Size != 6 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := l.State(t.Context(), top+"/program"); err != nil || !s.Hashed {
		t.Errorf("%+v, %v", s, err)
	}
	for _, name := range []string{"/private/program", "/private/none"} {
		if s, err := l.State(t.Context(), top+name); err != unix.EACCES {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if _, _, err := l.Content(t.Context(), top+"/secret"); err != unix.EACCES {
		t.Errorf("content: %v", err)
	}
	// Whether something is in the way is not told either.
	for _, name := range []string{"/private/program", "/private/none"} {
		err := l.Apply(t.Context(), targets.Change{ID: "t", Op: targets.Mkdir, Path: top + name, Mode: 0o755})
		if err != unix.EACCES {
			t.Errorf("make %s: %v", name, err)
		}
	}
}
