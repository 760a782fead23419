//go:build linux && (amd64 || arm64)

package pypy

import (
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// said is what a compiling run says of files.
func said(items ...string) []byte {
	var out []byte
	for _, item := range items {
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(item))), item...)
	}
	return out
}

func TestByteCodeIsOfTheLibraryAlone(t *testing.T) {
	files, err := readBytecode(said(Prefix+"/lib-python/3/__pycache__/os.pypy36.pyc", "code", Prefix+"/lib_pypy/__pycache__/a.pyc", ""))
	if err != nil || !maps.Equal(textsOf(files), map[string]string{"/lib-python/3/__pycache__/os.pypy36.pyc": "code", "/lib_pypy/__pycache__/a.pyc": ""}) {
		t.Errorf("%q, %v", files, err)
	}
	many := []string{}
	for i := range maxModules + 1 {
		many = append(many, Prefix+"/__pycache__/"+strings.Repeat("a", i)+".pyc", "")
	}
	for name, text := range map[string][]byte{
		"a length without an item": {1, 0, 0, 0},
		"half a length":            {1, 0},
		"a length beyond all":      {0xff, 0xff, 0xff, 0xff, 0},
		"a name without code":      said(Prefix + "/__pycache__/a.pyc"),
		"another file":             said("/etc/__pycache__/a.pyc", ""),
		"a way out":                said(Prefix+"/../etc/__pycache__/a.pyc", ""),
		"a module":                 said(Prefix+"/lib-python/3/os.py", ""),
		"no byte code":             said(Prefix+"/__pycache__/os.py", ""),
		"too many":                 said(many...),
	} {
		if files, err := readBytecode(text); err == nil {
			t.Errorf("%s: %d files", name, len(files))
		}
	}
}

func textsOf(files map[string][]byte) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		out[name] = string(text)
	}
	return out
}

func TestByteCodeAppearsBesideTheModules(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lib-python/3/json", "lib_pypy"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	disk, err := vfs.NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := newLibrary(disk, nil, time.Unix(1e9, 0))
	names := func(dir string) []string {
		entries, err := l.ReadDir(dir)
		if err != nil {
			return []string{err.Error()}
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Name)
		}
		slices.Sort(out)
		return out
	}
	if got := names("/lib-python/3"); !slices.Equal(got, []string{"json"}) {
		t.Errorf("before: %q", got)
	}
	l.add(map[string][]byte{"/lib-python/3/__pycache__/os.pyc": []byte("code")})
	if got := names("/lib-python/3"); !slices.Equal(got, []string{"__pycache__", "json"}) {
		t.Errorf("after: %q", got)
	}
	if got := names("/lib-python/3/__pycache__"); !slices.Equal(got, []string{"os.pyc"}) {
		t.Errorf("inside: %q", got)
	}
	if info, err := l.Lstat("/lib-python/3/__pycache__"); err != nil || !info.IsDir() {
		t.Errorf("%+v, %v", info, err)
	}
	fd, err := l.Open("/lib-python/3/__pycache__/os.pyc", unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	var text [8]byte
	if n, _ := unix.Read(fd, text[:]); string(text[:n]) != "code" {
		t.Errorf("got %q", text[:n])
	}
	if _, err := l.Lstat("/lib-python/3/nothing"); err == nil {
		t.Error("a file that is nowhere is there")
	}
}

// FuzzReadBytecode lets a compiling run say anything: what is taken is of the library, and no larger than what was said.
func FuzzReadBytecode(f *testing.F) {
	f.Add(said(Prefix+"/lib-python/3/__pycache__/os.pypy36.pyc", "code"))
	f.Add(said(Prefix+"/../__pycache__/a.pyc", "", "x"))
	f.Add(said(Prefix+"-other/__pycache__/a.pyc", "code"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := readBytecode(text)
		if err != nil && files != nil {
			t.Fatal("files beside an error")
		}
		size := 0
		for name, code := range files {
			size += 8 + len(Prefix) + len(name) + len(code)
			if !strings.HasPrefix(name, "/") || strings.Contains(name, "/../") || !strings.Contains(name, "/__pycache__/") || !strings.HasSuffix(name, ".pyc") {
				t.Errorf("%q", name)
			}
		}
		if size > len(text) {
			t.Errorf("%d bytes of %d", size, len(text))
		}
	})
}
