package pypy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// member is one member of an archive that a test makes.
type member struct {
	name, text, link string
	kind             byte
	mode             int64
	size             int64 // more than the text, where it is not 0
}

func archive(t *testing.T, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Mode: m.mode, Size: int64(len(m.text))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if m.size != 0 {
			h.Size = m.size
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Flush()
	_ = z.Close()
	return out.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// site serves archives on loopback.
type site struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
	requests []string
	cut      int  // bytes after which a first answer breaks off
	noRanges bool // the server knows no ranges
}

func newSite(t *testing.T) *site {
	s := &site{files: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	body, ok := s.files[r.URL.Path]
	s.requests = append(s.requests, r.URL.Path+" "+r.Header.Get("Range"))
	cut := s.cut
	s.cut = 0
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if s.noRanges {
		r.Header.Del("Range")
	}
	if cut > 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:cut])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func (s *site) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func goodExecutable(t *testing.T) []byte {
	return archive(t, member{name: "pypy3-sandbox/", kind: tar.TypeDir}, member{name: "pypy3-sandbox/pypy3-c", text: "executable", mode: 0o755},
		member{name: "pypy3-sandbox/libpypy3-c.so", text: "library", mode: 0o6755}, member{name: "pypy3-sandbox/README", text: "read me"},
		member{name: "pypy3-sandbox/pypy3", kind: tar.TypeSymlink, link: "pypy3-c"})
}

func goodLibrary(t *testing.T) []byte {
	return archive(t, member{name: "./src/lib-python/3/os.py", text: "# os"}, member{name: "src/lib-python/3/test/test_os.py", text: "# left out"},
		member{name: "src/lib-python/2/os.py", text: "# left out"}, member{name: "src/lib_pypy/_stat.py", text: "# stat"},
		member{name: "src/pypy/goal/x.py", text: "# left out"})
}

// release serves both archives, and is what Install is told.
func (s *site) release(executable, library []byte) Release {
	s.files["/executable"], s.files["/library"] = executable, library
	return Release{
		Executable: Archive{"executable", s.URL + "/executable", sum(executable)},
		Library:    Archive{"library", s.URL + "/library", sum(library)},
	}
}

func (s *site) options(t *testing.T, r Release) InstallOptions {
	return InstallOptions{Runtime: filepath.Join(t.TempDir(), "runtime"), Release: r, pause: time.Millisecond}
}

// tree lists the files of a directory with their contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name) // #nosec G122 -- the test's own
		info, err2 := d.Info()
		rel, err3 := filepath.Rel(dir, name)
		out = append(out, fmt.Sprintf("%s %v %s", rel, info.Mode(), text))
		return errors.Join(err, err2, err3)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

const goodTree = `bin/libpypy3-c.so -rwxr-xr-x library
bin/pypy3-c -rwxr-xr-x executable
lib-python/3/os.py -rw-r--r-- # os
lib_pypy/_stat.py -rw-r--r-- # stat`

func TestInstallDownloadsChecksAndUnpacks(t *testing.T) {
	s := newSite(t)
	o := s.options(t, s.release(goodExecutable(t), goodLibrary(t)))
	progress := map[string]int64{}
	o.Progress = func(name string, done, total int64) {
		if done > total {
			t.Errorf("%s: %d of %d", name, done, total)
		}
		progress[name] = done
	}
	if _, err := Installed(o.Runtime); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	dir, err := Install(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got != goodTree {
		t.Errorf("installed:\n%s", got)
	}
	if progress["executable"] != int64(len(s.files["/executable"])) || progress["library"] != int64(len(s.files["/library"])) {
		t.Errorf("progress %v", progress)
	}
	if found, err := Installed(o.Runtime); err != nil || found != dir {
		t.Errorf("installed in %q, %v", found, err)
	}
	before := len(s.asked())
	if again, err := Install(t.Context(), o); err != nil || again != dir || len(s.asked()) != before {
		t.Errorf("again: %q, %v, %d requests", again, err, len(s.asked())-before)
	}
	if removed, err := Remove(o.Runtime); err != nil || len(removed) != 1 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if left := tree(t, o.Runtime); left != ".pypy.lock -rw------- " {
		t.Errorf("left: %q", left)
	}
	if removed, err := Remove(filepath.Join(o.Runtime, "nothing")); err != nil || removed != nil {
		t.Errorf("removing nothing: %q, %v", removed, err)
	}
}

func TestInterruptedDownloadGoesOn(t *testing.T) {
	for _, noRanges := range []bool{false, true} {
		t.Run(fmt.Sprintf("without ranges %v", noRanges), func(t *testing.T) {
			s := newSite(t)
			s.noRanges = noRanges
			o := s.options(t, s.release(goodExecutable(t), goodLibrary(t)))
			s.cut = 50
			dir, err := Install(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, dir); got != goodTree {
				t.Errorf("installed:\n%s", got)
			}
			if asked := s.asked(); asked[1] != "/executable bytes=50-" {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestDownloadOfAnEarlierProcessGoesOn(t *testing.T) {
	s := newSite(t)
	r := s.release(goodExecutable(t), goodLibrary(t))
	o := s.options(t, r)
	downloads := filepath.Join(o.Runtime, downloadsFolder)
	if err := os.MkdirAll(downloads, 0o700); err != nil {
		t.Fatal(err)
	}
	// One is there in part, the other as a whole but with its old name.
	half := s.files["/executable"][:30]
	if err := os.WriteFile(filepath.Join(downloads, r.Executable.SHA256+".part"), half, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(downloads, r.Library.SHA256+".part"), s.files["/library"], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if asked := s.asked(); asked[0] != "/executable bytes=30-" {
		t.Errorf("asked %q", asked)
	}
}

func TestWrongBytesAreNeverUnpacked(t *testing.T) {
	s := newSite(t)
	r := s.release(goodExecutable(t), goodLibrary(t))
	s.files["/executable"] = archive(t, member{name: "pypy3-c", text: "evil", mode: 0o755})
	o := s.options(t, r)
	if _, err := Install(t.Context(), o); !errors.Is(err, errHash) {
		t.Errorf("%v", err)
	}
	if left := tree(t, o.Runtime); strings.Contains(left, "evil") || strings.Contains(left, "pypy3-c") {
		t.Errorf("left: %q", left)
	}
	// What an earlier process has left may be wrong too: it is dropped, and the file asked for once more.
	s = newSite(t)
	r = s.release(goodExecutable(t), goodLibrary(t))
	o = s.options(t, r)
	_ = os.MkdirAll(filepath.Join(o.Runtime, downloadsFolder), 0o700)
	_ = os.WriteFile(filepath.Join(o.Runtime, downloadsFolder, r.Executable.SHA256+".part"), bytes.Repeat([]byte("x"), 20), 0o600)
	if _, err := Install(t.Context(), o); err != nil {
		t.Errorf("%v", err)
	}
}

func TestServerThatRefusesOrLies(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"an error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a huge one": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(int64(maxArchive)+1))
			w.WriteHeader(http.StatusOK)
		},
		"another part": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 7-9/10")
			w.WriteHeader(http.StatusPartialContent)
		},
		"itself for ever": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) },
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			a := Archive{"executable", s.URL + "/x", strings.Repeat("0", 64)}
			o := InstallOptions{Runtime: t.TempDir(), Release: Release{a, a}, pause: time.Millisecond}
			if _, err := Install(t.Context(), o); err == nil || !strings.Contains(err.Error(), s.URL) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The file changes between two parts of it, or the server gives another part than was asked for: it is asked for anew.
func TestPartsOfDifferentFilesAreNeverPutTogether(t *testing.T) {
	whole := goodExecutable(t)
	other := bytes.Repeat([]byte("x"), len(whole))
	cutOff := func(w http.ResponseWriter, etag string) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Content-Length", fmt.Sprint(len(other)))
		_, _ = w.Write(other[:40])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, c := range []struct {
		name   string
		second http.HandlerFunc
		want   []string // what is asked for: Range and If-Range
	}{
		{"it is told", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"new"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(whole))
		}, []string{"|", `bytes=40-|"old"`}},
		{"it is not told", func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(whole))
		}, []string{"|", `bytes=40-|"old"`, "|"}},
		{"another part", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 39-%d/%d", len(whole)-1, len(whole)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(whole[39:])
				return
			}
			_, _ = w.Write(whole)
		}, []string{"|", `bytes=40-|"old"`, "|"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Range")+"|"+r.Header.Get("If-Range"))
				if len(asked) == 1 {
					cutOff(w, `"old"`)
				}
				c.second(w, r)
			}))
			defer s.Close()
			f := newFetcher(nil, nil)
			f.pause = time.Millisecond
			name, err := f.fetch(t.Context(), t.TempDir(), Archive{"executable", s.URL, sum(whole)})
			if err != nil || !slices.Equal(asked, c.want) {
				t.Fatalf("%v, asked %q, want %q", err, asked, c.want)
			}
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestRedirectAwayFromHTTPSIsRefused(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()
	client := secure.Client()
	client.CheckRedirect = onlySecure
	_, err := client.Get(secure.URL)
	if err == nil || !strings.Contains(err.Error(), "away from HTTPS") {
		t.Errorf("%v", err)
	}
}

func TestCancelledInstallLeavesWhatItHas(t *testing.T) {
	s := newSite(t)
	o := s.options(t, s.release(goodExecutable(t), goodLibrary(t)))
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(string, int64, int64) { cancel() }
	if _, err := Install(ctx, o); err == nil {
		t.Error("a cancelled install succeeds")
	}
	if _, err := Installed(o.Runtime); err == nil {
		t.Error("a cancelled install is there")
	}
	o.Progress = nil
	if _, err := Install(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestInstallFromFiles(t *testing.T) {
	s := newSite(t)
	r := s.release(goodExecutable(t), goodLibrary(t))
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	executable, library, other := file("a", s.files["/executable"]), file("b", s.files["/library"]), file("c", []byte("other"))
	for _, c := range []struct {
		from []string
		want string
	}{
		{[]string{executable}, "--from too: the library (" + r.Library.URL},
		{[]string{library}, "--from too: the executable"},
		{[]string{executable, other}, "neither the executable's archive nor the library's"},
		{[]string{filepath.Join(dir, "nothing")}, "no such file"},
		{[]string{library, executable}, ""},
	} {
		o := s.options(t, r)
		o.From = c.from
		_, err := Install(t.Context(), o)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.from, err, c.want)
		}
	}
	if len(s.asked()) != 0 {
		t.Errorf("asked %q", s.asked())
	}
}

// downloaded are the files that a refused installation may leave.
var downloaded = regexp.MustCompile(`/runtime/\.pypy(\.lock|-downloads/[0-9a-f]{64})$`)

func TestHostileArchivesAreRefusedAsAWhole(t *testing.T) {
	good := member{name: "pypy3-c", text: "executable", mode: 0o755}
	for name, bad := range map[string]member{
		"absolute":                {name: "/etc/cron.d/evil", text: "x"},
		"upwards":                 {name: "../../evil", text: "x"},
		"upwards inside":          {name: "a/../../evil", text: "x"},
		"upwards and back":        {name: "a/../b", text: "x"},
		"a link out":              {name: "lib/libx.so", kind: tar.TypeSymlink, link: "../../../etc/passwd"},
		"an absolute link":        {name: "lib/libx.so", kind: tar.TypeSymlink, link: "/etc/passwd"},
		"a hard link out":         {name: "libx.so", kind: tar.TypeLink, link: "../../etc/passwd"},
		"an absolute hard link":   {name: "libx.so", kind: tar.TypeLink, link: "/etc/passwd"},
		"a device":                {name: "libx.so", kind: tar.TypeChar},
		"a fifo":                  {name: "libx.so", kind: tar.TypeFifo},
		"a backslash":             {name: `..\evil`, text: "x"},
		"a long name":             {name: strings.Repeat("a/", maxName) + "x", text: "x"},
		"a second executable":     {name: "other/pypy3-c", text: "evil", mode: 0o755},
		"a size beyond the bound": {name: "libx.so", size: maxMember + 1},
		"a size that is a lie":    {name: "libx.so", size: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			o := s.options(t, s.release(archive(t, good, bad), goodLibrary(t)))
			if dir, err := Install(t.Context(), o); err == nil {
				t.Errorf("installed:\n%s", tree(t, dir))
			}
			err := filepath.WalkDir(filepath.Dir(o.Runtime), func(name string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && !downloaded.MatchString(name) {
					t.Errorf("left: %q", name)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for name, text := range map[string][]byte{"empty": {}, "no archive": []byte("hello, world"), "bad gzip": {0x1f, 0x8b, 8, 0}, "bad bzip2": []byte("BZh9xxxx")} {
		s := newSite(t)
		o := s.options(t, s.release(text, goodLibrary(t)))
		if _, err := Install(t.Context(), o); err == nil {
			t.Errorf("%s: installed", name)
		}
	}
	s := newSite(t)
	o := s.options(t, s.release(archive(t, member{name: "README", text: "x"}), goodLibrary(t)))
	if _, err := Install(t.Context(), o); err == nil || !strings.Contains(err.Error(), "hold no bin/pypy3-c") {
		t.Errorf("without an executable: %v", err)
	}
}

func TestReleasesAreWhatIsPublished(t *testing.T) {
	for arch, r := range Releases() {
		for _, a := range []Archive{r.Executable, r.Library} {
			if !strings.HasPrefix(a.URL, "https://") || len(a.SHA256) != 64 || a.Name == "" {
				t.Errorf("%s: %+v", arch, a)
			}
		}
		if !strings.HasSuffix(r.Executable.URL, "linux-"+arch+".tar.gz") {
			t.Errorf("%s: %s", arch, r.Executable.URL)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	add := func(members ...member) {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, m := range members {
			_ = w.WriteHeader(&tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Mode: 0o755, Size: int64(len(m.text))})
			_, _ = w.Write([]byte(m.text))
		}
		_ = w.Close()
		f.Add(out.Bytes())
	}
	add(member{name: "a/pypy3-c", kind: tar.TypeReg, text: "x"})
	add(member{name: "../x", kind: tar.TypeReg}, member{name: "l", kind: tar.TypeSymlink, link: "/"}, member{name: "l/libx.so", kind: tar.TypeReg})
	f.Fuzz(func(t *testing.T, plain []byte) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(plain)
		_ = z.Close()
		outer := t.TempDir()
		name, inside := filepath.Join(outer, "archive"), filepath.Join(outer, "root")
		if os.WriteFile(name, packed.Bytes(), 0o600) != nil || os.Mkdir(inside, 0o700) != nil {
			t.Skip()
		}
		root, err := os.OpenRoot(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = root.Close() }()
		_ = unpack(name, root, func(n string) string { return n })
		entries, err := os.ReadDir(outer)
		if err != nil || len(entries) != 2 {
			t.Fatalf("outside: %v, %v", entries, err)
		}
	})
}
