//go:build linux

package vfs_test

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func TestPathsResolveAsPathResolution7Says(t *testing.T) {
	s, _ := over(t,
		"etc/passwd=root", "etc/sub/deep=x", "etc/rel->passwd", "etc/abs->/etc/passwd", "etc/up->../etc/sub",
		"etc/dirlink->sub/", "etc/filelink->passwd/", "etc/dangling->nowhere", "etc/self->self", "etc/a->b", "etc/b->a",
		"top->..", "etc/dots->./.././/etc/./sub/../passwd", "chain->etc/up/../abs",
		"etc/new\nline=n", "etc/\xff\xfe=u", "etc/"+strings.Repeat("n", 255)+"=long",
	)
	long, deep := strings.Repeat("n", 256), "/"+strings.Repeat("d/", 2048)
	for _, test := range []struct {
		name, want string
		err        error
	}{
		{name: "/", want: "/"},
		{name: "//", want: "/"},
		{name: "/..", want: "/"},
		{name: "/../../etc", want: "/etc"},
		{name: "/etc//passwd", want: "/etc/passwd"},
		{name: "//etc/./passwd", want: "/etc/passwd"},
		{name: "/etc/sub/../passwd", want: "/etc/passwd"},
		{name: "/etc/", want: "/etc"},
		{name: "/etc/.", want: "/etc"},
		{name: "/etc/sub/..", want: "/etc"},
		{name: "/etc/rel", want: "/etc/passwd"},
		{name: "/etc/abs", want: "/etc/passwd"},
		{name: "/etc/up/deep", want: "/etc/sub/deep"},
		{name: "/etc/up/../passwd", want: "/etc/passwd"},
		{name: "/etc/dirlink", want: "/etc/sub"},
		{name: "/etc/dirlink/deep", want: "/etc/sub/deep"},
		{name: "/etc/dots", want: "/etc/passwd"},
		{name: "/top/etc", want: "/etc"},
		{name: "/chain", want: "/etc/passwd"},
		{name: "/etc/new\nline", want: "/etc/new\nline"},
		{name: "/etc/\xff\xfe", want: "/etc/\xff\xfe"},
		{name: "/etc/" + strings.Repeat("n", 255), want: "/etc/" + strings.Repeat("n", 255)},
		{name: "", err: enoent},
		{name: "etc", err: syscall.EINVAL},
		{name: "/etc\x00/passwd", err: syscall.EINVAL},
		{name: "/etc/passwd\x00", err: syscall.EINVAL},
		{name: "/nothing", err: enoent},
		{name: "/nothing/..", err: enoent},
		{name: "/nothing/../etc", err: enoent},
		{name: "/etc/passwd/", err: syscall.ENOTDIR},
		{name: "/etc/passwd/.", err: syscall.ENOTDIR},
		{name: "/etc/passwd/..", err: syscall.ENOTDIR},
		{name: "/etc/passwd/x", err: syscall.ENOTDIR},
		{name: "/etc/rel/", err: syscall.ENOTDIR},
		{name: "/etc/filelink", err: syscall.ENOTDIR},
		{name: "/etc/dangling", err: enoent},
		{name: "/etc/dangling/", err: enoent},
		{name: "/etc/self", err: syscall.ELOOP},
		{name: "/etc/a/x", err: syscall.ELOOP},
		{name: "/etc/" + long, err: syscall.ENAMETOOLONG},
		{name: "/" + long + "/x", err: syscall.ENAMETOOLONG},
		{name: deep, err: syscall.ENAMETOOLONG},
	} {
		got, err := s.Canonical(test.name)
		if got != test.want || err != test.err {
			t.Errorf("Canonical(%.40q) = %.40q, %v; want %.40q, %v", test.name, got, err, test.want, test.err)
		}
		if _, err := s.Stat(test.name); err != test.err {
			t.Errorf("Stat(%.40q): %v, want %v", test.name, err, test.err)
		}
	}
}

func TestLstatFollowsALinkOnlyBeforeASlash(t *testing.T) {
	s, _ := over(t, "dir/file=x", "link->dir", "broken->gone")
	for name, want := range map[string]uint32{
		"/link": syscall.S_IFLNK, "/link/": syscall.S_IFDIR, "/link/.": syscall.S_IFDIR, "/broken": syscall.S_IFLNK,
	} {
		info, err := s.Lstat(name)
		if err != nil || info.Type() != want {
			t.Errorf("Lstat(%s): type %o, %v", name, info.Type(), err)
		}
	}
	_, err := s.Lstat("/broken/")
	is(t, "lstat of a dangling link with a slash", err, enoent)
	text, err := s.Readlink("/link")
	if text != "dir" || err != nil {
		t.Errorf("Readlink: %q, %v", text, err)
	}
	_, err = s.Readlink("/link/")
	is(t, "readlink of a directory", err, syscall.EINVAL)
}

func TestLinksAreFollowedFortyTimesAndNoMore(t *testing.T) {
	s, _ := over(t)
	ok(t, s.Mkdir("/tmp/end", 0o755))
	previous := "end"
	for i := range 41 {
		name := "l" + strings.Repeat("x", i)
		ok(t, s.Symlink(previous, "/tmp/"+name))
		previous = name
	}
	_, err := s.Stat("/tmp/l" + strings.Repeat("x", 39))
	is(t, "forty links", err, nil)
	_, err = s.Stat("/tmp/l" + strings.Repeat("x", 40))
	is(t, "forty-one links", err, syscall.ELOOP)
}

// A link whose text is long, followed again and again, must not make a path without end.
func TestLinksCannotMakePathsLongerThanPathMax(t *testing.T) {
	s, _ := over(t)
	ok(t, s.Mkdir("/tmp/d", 0o755))
	at := "/tmp/d"
	for len(at) < 3800 {
		at += "/" + strings.Repeat("d", 200)
		ok(t, s.Mkdir(at, 0o755))
	}
	ok(t, s.Symlink(at, "/tmp/far"))
	e, f := strings.Repeat("e", 250), strings.Repeat("f", 250)
	ok(t, s.Mkdir("/tmp/far/"+e, 0o755))
	is(t, "mkdir beyond PATH_MAX", s.Mkdir("/tmp/far/"+e+"/"+e, 0o755), syscall.ENAMETOOLONG)
	ok(t, s.Mkdir("/tmp/"+f, 0o755))
	is(t, "rename beyond PATH_MAX", s.Rename("/tmp/d", "/tmp/"+f+"/d", 0), syscall.ENAMETOOLONG)
}

func TestOpenFlagsMeanWhatOpen2Says(t *testing.T) {
	s, _ := over(t, "dir/file=content", "link->dir/file", "broken->dir/new", "dirlink->dir")
	for _, test := range []struct {
		name  string
		flags int
		err   error
	}{
		{"/dir/file", unix.O_RDONLY, nil},
		{"/dir/file/", unix.O_RDONLY, syscall.ENOTDIR},
		{"/dir/file", unix.O_RDONLY | unix.O_DIRECTORY, syscall.ENOTDIR},
		{"/dir", unix.O_RDONLY, nil},
		{"/dir", unix.O_WRONLY, syscall.EISDIR},
		{"/dir", unix.O_RDONLY | unix.O_CREAT, syscall.EISDIR},
		{"/dir", unix.O_RDONLY | unix.O_TRUNC, syscall.EISDIR},
		{"/dir/none", unix.O_RDONLY, enoent},
		{"/dir/none", unix.O_WRONLY, enoent},
		{"/dir/none/", unix.O_WRONLY | unix.O_CREAT, syscall.EISDIR},
		{"/none/x", unix.O_WRONLY | unix.O_CREAT, enoent},
		{"/dir/file", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, eexist},
		{"/link", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, eexist},
		{"/broken", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, eexist},
		{"/link", unix.O_RDONLY | unix.O_NOFOLLOW, syscall.ELOOP},
		{"/dirlink/file", unix.O_RDONLY | unix.O_NOFOLLOW, nil},
		{"/link", unix.O_PATH | unix.O_NOFOLLOW, nil},
		{"/link", unix.O_RDONLY, nil},
		{"/dir", unix.O_CREAT | unix.O_DIRECTORY, syscall.EINVAL},
		{"/dir/file", unix.O_ACCMODE, syscall.EINVAL},
	} {
		f, err := s.Open(test.name, test.flags, 0o644)
		if err != test.err {
			t.Errorf("Open(%s, %#x): %v, want %v", test.name, test.flags, err, test.err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	put(t, s, "/broken", "through")
	holds(t, s, "/dir/new", "through")
}

func TestAPathOnlyFileHasNoContent(t *testing.T) {
	s, _ := over(t, "file=x")
	f, err := s.Open("/file", unix.O_PATH|unix.O_WRONLY|unix.O_TRUNC|unix.O_CREAT, 0o644)
	ok(t, err)
	_, err = f.Descriptor(unix.O_RDONLY)
	is(t, "descriptor", err, syscall.EBADF)
	info, err := f.Info()
	if err != nil || info.Size != 1 {
		t.Errorf("size %d, %v: truncated by O_PATH?", info.Size, err)
	}
	ok(t, f.Close())
}

func TestAccessGrantsWhatTheOverlayWouldTake(t *testing.T) {
	var engine vfs.Static
	engine.AddFile("/lib", 0o644, nil)
	root := tree(t, "file=x", "dir/")
	s := session(t, vfs.Config{Base: below{vfs.NewHost(), root}}, vfs.Mount{Path: "/opt/e", Source: &engine})
	for _, test := range []struct {
		name string
		mode uint32
		err  error
	}{
		{"/file", unix.R_OK | unix.W_OK, nil},
		{"/file", unix.X_OK, syscall.EACCES},
		{"/dir", unix.R_OK | unix.W_OK | unix.X_OK, nil},
		{"/opt/e/lib", unix.R_OK, nil},
		{"/opt/e/lib", unix.W_OK, syscall.EROFS},
		{"/opt/e", unix.W_OK, syscall.EROFS},
		{"/none", unix.F_OK, enoent},
		{"/file", 8, syscall.EINVAL},
	} {
		is(t, test.name, s.Access(test.name, test.mode), test.err)
	}
}

// reference resolves a path in the simplest way: by text, over maps of directories and links.
func reference(dirs map[string]bool, links map[string]string, name string, budget *int) (string, bool) {
	if name == "" || name[0] != '/' {
		return "", false
	}
	at := "/"
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			at = at[:max(1, strings.LastIndex(at, "/"))]
			continue
		}
		next := strings.TrimSuffix(at, "/") + "/" + part
		if text, is := links[next]; is {
			if *budget--; *budget < 0 {
				return "", false
			}
			rest := strings.Join(parts[i+1:], "/")
			if i+1 < len(parts) {
				text += "/" + rest
			}
			if !strings.HasPrefix(text, "/") {
				text = strings.TrimSuffix(at, "/") + "/" + text
			}
			return reference(dirs, links, text, budget)
		}
		if !dirs[next] {
			return "", false
		}
		at = next
	}
	return at, true
}

func FuzzWalkAgreesWithAReference(f *testing.F) {
	f.Add("/a/b/../l1/./b", "l2", "/a", "../b")
	f.Add("/l1/l2/l3//", "..", "./l1/b", "l3")
	f.Add("/l1", "l2/", "l3/.", "/")
	f.Fuzz(func(t *testing.T, name, one, two, three string) {
		var source vfs.Static
		dirs, links := map[string]bool{}, map[string]string{}
		for _, d := range []string{"/a", "/b", "/a/b", "/a/b/a", "/b/a"} {
			source.AddDir(d)
			dirs[d] = true
		}
		for l, text := range map[string]string{"/l1": one, "/a/l2": two, "/b/l3": three, "/a/l1": two, "/l2": three} {
			if text == "" || len(text) > 60 || strings.ContainsRune(text, 0) {
				t.Skip()
			}
			source.AddLink(l, text)
			links[l] = text
		}
		if len(name) > 200 || strings.ContainsRune(name, 0) {
			t.Skip()
		}
		s := session(t, vfs.Config{Base: &source})
		budget := 40
		want, exists := reference(dirs, links, name, &budget)
		got, err := s.Canonical(name)
		if (err == nil) != exists || got != want {
			t.Errorf("Canonical(%q) = %q, %v; want %q, %v (links %q)", name, got, err, want, exists, links)
		}
	})
}
