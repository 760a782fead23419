//go:build linux

package vfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// pairOfTrees is one tree twice: as the base of a session, and as a real directory that the kernel changes.
type pairOfTrees struct {
	s    *vfs.Session
	base string // the session's base, which must not change
	real string
	log  []string
	// copies says that names of one file may have become copies: a list of changes does not know the links of another.
	copies bool
}

func newPair(t testing.TB) *pairOfTrees {
	lines := []string{
		"w/a=file a", "w/b/a=file ba", "w/b/b/a=deep", "w/b/c/", "w/c/", "w/l->a", "w/m->b", "w/b/l->../c", "w/n->none",
	}
	base := tree(t, lines...)
	return &pairOfTrees{
		s: session(t, vfs.Config{Base: below{vfs.NewHost(), base}}), base: base, real: tree(t, lines...),
	}
}

// step does one operation on both and compares the errors. op, x and y choose it.
func (p *pairOfTrees) step(op, x, y byte) error {
	a, b := pathFrom(x), pathFrom(y)
	real, other := p.real+a, p.real+b
	var got, want error
	what := ""
	do := func(call string, inView func() error, inKernel func() error) {
		what = fmt.Sprintf("%s(%s, %s)", call, a, b)
		if got = inView(); got == syscall.EXDEV {
			return // a directory of the base cannot be moved, by design
		}
		want = inKernel()
	}
	switch op % 11 {
	case 0:
		do("mkdir", func() error { return p.s.Mkdir(a, 0o755) }, func() error { return unix.Mkdir(real, 0o755) })
	case 1:
		do("rmdir", func() error { return p.s.Rmdir(a) }, func() error { return unix.Rmdir(real) })
	case 2:
		do("unlink", func() error { return p.s.Unlink(a) }, func() error { return unix.Unlink(real) })
	case 3, 4:
		do("rename", func() error { return p.s.Rename(a, b, 0) },
			func() error { return unix.Rename(real, other) })
	case 5:
		do("link", func() error { return p.s.Link(a, b, false) }, func() error { return unix.Link(real, other) })
	case 6:
		text := strings.TrimPrefix(b, "/w/")
		do("symlink", func() error { return p.s.Symlink(text, a) },
			func() error { return unix.Symlink(text, real) })
	case 7:
		do("truncate", func() error { return p.s.Truncate(a, int64(y)) },
			func() error { return unix.Truncate(real, int64(y)) })
	case 8:
		mode := uint32(y)&0o77 | 0o700
		do("chmod", func() error { return p.s.Chmod(a, mode, true) }, func() error { return unix.Chmod(real, mode) })
	default:
		flags := unix.O_WRONLY | unix.O_APPEND
		for bit, flag := range []int{unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_NOFOLLOW, unix.O_DIRECTORY} {
			if y>>bit&1 != 0 {
				flags |= flag
			}
		}
		if flags&unix.O_CREAT != 0 {
			flags &^= unix.O_DIRECTORY // kernels before 6.4 differ
		}
		if flags&unix.O_CREAT == 0 {
			flags &^= unix.O_EXCL
		}
		text := string('a' + rune(x%26))
		do(fmt.Sprintf("write %#x", flags), func() error { return write(p.s, a, text, flags) }, func() error {
			fd, err := unix.Open(real, flags|unix.O_CLOEXEC, 0o644)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			_, err = unix.Write(fd, []byte(text))
			return err
		})
	}
	p.log = append(p.log, fmt.Sprintf("%s: %v", what, got))
	if got != syscall.EXDEV && got != want {
		return fmt.Errorf("%s: %v, the kernel says %v", what, got, want)
	}
	return nil
}

// pathFrom makes a path of one to three components out of a byte, now and then with a slash at its end.
func pathFrom(x byte) string {
	letters := [8]string{"a", "b", "c", "l", "m", "n", "d", "e"}
	out := "/w/" + letters[x&7]
	if x&8 != 0 {
		out += "/" + letters[x>>4&7]
	}
	if x>>4 == 0xf {
		out += "/" + letters[x&3]
	}
	if x == 0x47 || x == 0x52 || x == 0xb1 {
		out += "/"
	}
	if x == 0x33 || x == 0x64 {
		out += "/."
	}
	return out
}

// compare looks at everything that the two trees hold.
func (p *pairOfTrees) compare() error {
	var want, got []string
	err := filepath.WalkDir(p.real+"/w", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o", strings.TrimPrefix(name, p.real), st.Mode)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			text, _ := os.Readlink(name)
			line += " " + text
		case d.Type().IsRegular():
			data, _ := os.ReadFile(name)
			line += fmt.Sprintf(" %d %d %q", p.links(uint64(st.Nlink)), st.Size, data)
		}
		want = append(want, line)
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.describe("/w", &got); err != nil {
		return err
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		return fmt.Errorf("the view holds\n%s\nthe kernel's tree\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return nil
}

func (p *pairOfTrees) links(n uint64) uint64 {
	if p.copies {
		return 1
	}
	return n
}

func (p *pairOfTrees) describe(name string, out *[]string) error {
	info, err := p.s.Lstat(name)
	if err != nil {
		return fmt.Errorf("lstat %s: %w", name, err)
	}
	line := fmt.Sprintf("%s %o", name, info.Mode)
	switch {
	case info.IsSymlink():
		text, err := p.s.Readlink(name)
		if err != nil || int64(len(text)) != info.Size {
			return fmt.Errorf("readlink %s: %q, %w", name, text, err)
		}
		line += " " + text
	case info.IsRegular():
		data, err := read(p.s, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		line += fmt.Sprintf(" %d %d %q", p.links(info.Nlink), info.Size, data)
	}
	*out = append(*out, line)
	if !info.IsDir() {
		return nil
	}
	list, err := names(p.s, name)
	if err != nil {
		return err
	}
	for _, child := range strings.Fields(list) {
		if err := p.describe(name+"/"+child, out); err != nil {
			return err
		}
	}
	return nil
}

// replay makes the target of the changes list what the view is, as a commit would, in the order of the list. There is
// nothing to be changed afterwards.
func (p *pairOfTrees) replay(root string) error {
	changes := p.s.Changes()
	for _, c := range changes {
		if err := commit(c, root); err != nil {
			return fmt.Errorf("%s %s: %w", c.Op, c.Path, err)
		}
	}
	p.s.Rebase(changes)
	for _, c := range p.s.Changes() {
		return fmt.Errorf("%s %s is still to be done", c.Op, c.Path)
	}
	return nil
}

func commit(c vfs.Change, root string) error {
	name := root + c.Path
	switch c.Op {
	case "delete":
		return unix.Unlink(name)
	case "rmdir":
		return unix.Rmdir(name)
	case "mkdir":
		return errors.Join(unix.Mkdir(name, 0o700), unix.Chmod(name, c.Info.Mode&0o7777))
	case "symlink":
		_ = unix.Unlink(name)
		return unix.Symlink(c.Target, name)
	case "link":
		_ = unix.Unlink(name)
		return unix.Link(root+c.Target, name)
	case "rename":
		_ = unix.Unlink(root + c.Target) // rename(2) does nothing where both are names of one file
		return unix.Rename(name, root+c.Target)
	case "chmod":
		return unix.Chmod(name, c.Info.Mode&0o7777)
	case "write":
		fd, err := c.Open()
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		text, err := readAll(fd)
		if err != nil {
			return err
		}
		_ = unix.Unlink(name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
		return unix.Chmod(name, c.Info.Mode&0o7777)
	}
	return fmt.Errorf("unknown operation")
}

// run does the steps and the three comparisons: errors, the view, and the changes put on a copy of the base.
//
// Half way, with rebaseAt, the changes are made on the base, as a gateway does before a command, and the view is
// refreshed.
func (p *pairOfTrees) run(t *testing.T, steps []byte, rebaseAt int) {
	before := fingerprint(t, p.base)
	for i := 0; i+2 < len(steps); i += 3 {
		if err := p.step(steps[i], steps[i+1], steps[i+2]); err != nil {
			t.Fatalf("%v\nafter:\n%s", err, strings.Join(p.log, "\n"))
		}
		if i == rebaseAt {
			if fingerprint(t, p.base) != before {
				t.Fatal("the target changed")
			}
			p.rebase(t)
		}
	}
	if err := p.compare(); err != nil {
		t.Fatalf("%v\nafter:\n%s", err, strings.Join(p.log, "\n"))
	}
	if rebaseAt < 0 && fingerprint(t, p.base) != before {
		t.Fatal("the target changed")
	}
	if err := p.replay(p.base); err != nil {
		t.Fatalf("%v\nafter:\n%s", err, strings.Join(p.log, "\n"))
	}
	p.s = session(t, vfs.Config{Base: below{vfs.NewHost(), p.base}})
	p.copies = rebaseAt >= 0
	if err := p.compare(); err != nil {
		t.Fatalf("after the changes were made: %v\nafter:\n%s", err, strings.Join(p.log, "\n"))
	}
}

func (p *pairOfTrees) rebase(t *testing.T) {
	p.log = append(p.log, "-- rebased")
	if err := p.replay(p.base); err != nil {
		t.Fatalf("%v\nafter:\n%s", err, strings.Join(p.log, "\n"))
	}
	if err := p.compare(); err != nil {
		t.Fatalf("after Rebase: %v\nafter:\n%s", err, strings.Join(p.log, "\n"))
	}
	p.s.Refresh()
	if err := p.compare(); err != nil {
		t.Fatalf("after Refresh: %v\nafter:\n%s", err, strings.Join(p.log, "\n"))
	}
}

// The kernel is the reference: the same random operations on a real tree and on a view of its twin must give the same
// errors and the same trees, and the list of changes must turn one into the other.
func TestTheViewBehavesAsTheKernelDoes(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		steps := make([]byte, 3*60)
		for i := range steps {
			steps[i] = byte(random.Uint32())
		}
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newPair(t).run(t, steps, -1) }) {
			return
		}
		if !t.Run(fmt.Sprint("rebased, seed ", seed), func(t *testing.T) { newPair(t).run(t, steps, len(steps)/6*3) }) {
			return
		}
	}
}

func FuzzTheViewBehavesAsTheKernelDoes(f *testing.F) {
	f.Add([]byte{0, 6, 0, 3, 6, 2, 9, 0x0a, 1, 2, 0, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 3*100 {
			t.Skip()
		}
		newPair(t).run(t, steps, -1)
		newPair(t).run(t, steps, len(steps)/6*3)
	})
}
