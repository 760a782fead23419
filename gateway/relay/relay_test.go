package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pkg/sftp"

	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// host is a target in memory.
type host struct {
	targets.Target
	name  string
	files *vfs.Static
}

func (h host) Name() string      { return h.name }
func (h host) Files() vfs.Source { return h.files }
func (h host) Account() targets.Account {
	return targets.Account{Name: "ops", UID: 7, GID: 8, Home: "/"}
}

// asked remembers what a human was asked.
type asked struct {
	mu      sync.Mutex
	changes []string
	modes   []uint32
	texts   []string
	answer  error
}

func (a *asked) ask(_ context.Context, c Change) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.Told("abcd1234")
	for _, change := range c.View.Changes() {
		a.changes = append(a.changes, fmt.Sprintf("%s %s %s", c.Target.Name(), change.Op, change.Path))
		a.modes = append(a.modes, change.Info.Mode&0o7777)
		if change.Op == "write" {
			a.texts = append(a.texts, textOf(change))
		}
	}
	return a.answer
}

func (a *asked) all() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.changes, "; ")
}

func options(t testing.TB, a *asked, notices io.Writer) Options {
	t.Helper()
	files := &vfs.Static{}
	files.AddFile("/etc/hosts", 0o644, []byte("hosts"))
	files.AddFile("/etc/shadow", 0o600, []byte("secret"))
	files.AddFile("/root/key", 0o600, []byte("secret"))
	files.AddLink("/etc/out", "/root/key")
	files.AddLink("/etc/up", "../../../root/key")
	policy, err := vfs.NewPolicy([]string{"/etc"}, []string{"/etc/shadow"})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Targets: []targets.Target{host{name: "one", files: files}, host{name: "two", files: &vfs.Static{}}},
		Policy:  func(string) *vfs.Policy { return policy }, Ask: a.ask, MaxFile: 1 << 20,
		Changeable: func(_ targets.Target, name string) error {
			if policy.Decide(name) != vfs.Visible {
				return fmt.Errorf("%w: it is not shown", syscall.EACCES)
			}
			return nil
		},
		Upload: func() (func(), bool) { return func() {}, true }, File: func() (func(), bool) { return func() {}, true }, Notices: notices,
		Opened: func(context.Context, string, string, string, error) error { return nil }, Log: slog.New(slog.DiscardHandler),
	}
}

// client connects a client to a relay.
func client(t *testing.T, o Options) *sftp.Client {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Serve(t.Context(), theirs, o)
	}()
	c, err := sftp.NewClientPipe(ours, ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		_ = ours.Close()
		<-done
	})
	return c
}

func TestReadsAreToldOfBeforeAnythingIsShown(t *testing.T) {
	var mu sync.Mutex
	var told []string
	full := false
	o := options(t, &asked{}, io.Discard)
	o.Opened = func(_ context.Context, target, asked, path string, refused error) error {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf("%s %s %s %v", target, asked, path, refused))
		if full {
			return errors.New("the audit log is full")
		}
		return nil
	}
	c := client(t, o)
	text := func(name string) string {
		f, err := c.Open(name)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = f.Close() }()
		text, err := io.ReadAll(f)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	for _, name := range []string{"/one/etc/hosts", "/one/etc/../etc/shadow", "/one/etc/up"} {
		text(name)
	}
	mu.Lock()
	want := "one /etc/hosts /etc/hosts <nil>; one /etc/shadow /etc/shadow permission denied: the read policy does not show it; one /etc/up /etc/up no such file or directory"
	if got := strings.Join(told, "; "); got != want {
		t.Errorf("told %q", got)
	}
	full = true
	mu.Unlock()
	if got := text("/one/etc/hosts"); got == "hosts" {
		t.Error("a file was shown that could not be recorded")
	}
}

func TestOnlyWhatThePolicyShowsIsServed(t *testing.T) {
	c := client(t, options(t, &asked{}, io.Discard))
	names := func(dir string) string {
		list, err := c.ReadDir(dir)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, f := range list {
			out = append(out, f.Name())
		}
		return strings.Join(out, " ")
	}
	if got := names("/"); got != "one two" {
		t.Errorf("/ holds %q", got)
	}
	if got := names("/one"); got != "etc" {
		t.Errorf("/one holds %q", got)
	}
	if got := names("/one/etc"); got != "hosts out up" {
		t.Errorf("/one/etc holds %q", got)
	}
	f, err := c.Open("/one/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(f); string(text) != "hosts" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	_ = f.Close()
	for _, name := range []string{
		"/one/etc/shadow", "/one/root/key", "/one/etc/out", "/one/etc/up", "/one/etc/../root/key", "/one/etc/../../one/root/key",
		"/three/etc/hosts", "/etc/hosts", "/", "/one", "/one/etc", "//one//etc//shadow", "/one/etc/hosts/x", "/one/\x00", "/..",
	} {
		if f, err := c.Open(name); err == nil {
			if text, err := io.ReadAll(f); err == nil {
				t.Errorf("%q: %q", name, text)
			}
		}
	}
	if real, err := c.RealPath("/one/etc/../etc/hosts"); real != "/one/etc/hosts" || err != nil {
		t.Errorf("%q, %v", real, err)
	}
	if to, err := c.ReadLink("/one/etc/out"); to != "/root/key" || err != nil {
		t.Errorf("%q, %v", to, err)
	}
}

func TestChangesAreAskedAbout(t *testing.T) {
	var notices bytes.Buffer
	a := &asked{}
	c := client(t, options(t, a, &notices))
	put := func(name, text string) error {
		f, err := c.Create(name)
		if err != nil {
			return err
		}
		_, werr := f.Write([]byte(text))
		return errors.Join(werr, f.Close())
	}
	for name, do := range map[string]func() error{
		"one write /etc/new":   func() error { return put("/one/etc/new", "text") },
		"one write /etc/hosts": func() error { return put("/one/etc/hosts", "text") },
		"one mkdir /etc/dir":   func() error { return c.Mkdir("/one/etc/dir") },
		"one delete /etc/out":  func() error { return c.Remove("/one/etc/out") },
		"one chmod /etc/hosts": func() error { return c.Chmod("/one/etc/hosts", 0o600) },
		"one symlink /etc/l":   func() error { return c.Symlink("hosts", "/one/etc/l") },
		"one rename /etc/hosts": func() error {
			return c.PosixRename("/one/etc/hosts", "/one/etc/moved")
		},
	} {
		a.changes, a.answer = nil, nil
		if err := do(); err != nil || a.all() != name {
			t.Errorf("%s: asked about %q, %v", name, a.all(), err)
		}
		a.changes, a.answer = nil, fmt.Errorf("%w: not today", syscall.EACCES)
		if err := do(); err == nil || a.all() != name {
			t.Errorf("%s, rejected: asked about %q, %v", name, a.all(), err)
		}
	}
	if !strings.Contains(notices.String(), "waits for a human as session abcd1234") || !strings.Contains(notices.String(), "not today") {
		t.Errorf("the client was told %q", notices.String())
	}
	a.changes, a.answer = nil, nil
	for name, do := range map[string]func() error{
		"a hidden file":       func() error { return put("/one/etc/shadow", "x") },
		"below what is not":   func() error { return put("/one/root/key", "x") },
		"a target":            func() error { return c.Mkdir("/three") },
		"the root":            func() error { return c.RemoveDirectory("/one") },
		"over the limit":      func() error { return put("/one/etc/big", strings.Repeat("x", 1<<20+1)) },
		"from here to there":  func() error { return c.Rename("/one/etc/hosts", "/two/etc/hosts") },
		"an existing file":    func() error { return c.Rename("/one/etc/hosts", "/one/etc/up") },
		"through a link":      func() error { return put("/one/etc/out", "x") },
		"an unknown target":   func() error { return put("/three/etc/x", "x") },
		"a directory's place": func() error { return put("/one/etc", "x") },
	} {
		if err := do(); err == nil && a.all() != "" {
			t.Errorf("%s: asked about %q", name, a.all())
		}
	}
	for _, change := range strings.Split(a.all(), "; ") {
		for _, never := range []string{"shadow", "/root/", "/etc/big", "two "} {
			if strings.Contains(change, never) {
				t.Errorf("asked about %q", change)
			}
		}
	}
}

func TestAnUploadThatIsCutShortIsNone(t *testing.T) {
	a := &asked{}
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	o := options(t, a, io.Discard)
	go func() { done <- Serve(t.Context(), theirs, o) }()
	c, err := sftp.NewClientPipe(ours, ours)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Create("/one/etc/new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half of")); err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	<-done
	if got := a.all(); got != "" {
		t.Errorf("asked about %q", got)
	}
}

func TestOpenFilesAreBounded(t *testing.T) {
	c := client(t, options(t, &asked{}, io.Discard))
	var open []*sftp.File
	for {
		f, err := c.Open("/one/etc/hosts")
		if err != nil {
			break
		}
		if open = append(open, f); len(open) > maxOpen {
			t.Fatal("there is no bound")
		}
	}
	for _, f := range open {
		_ = f.Close()
	}
	if f, err := c.Open("/one/etc/hosts"); err != nil {
		t.Errorf("after all were closed: %v", err)
	} else {
		_ = f.Close()
	}
}

// A client says what it likes: the server ends, and nothing else does.
func FuzzServe(f *testing.F) {
	packet := func(kind byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+1)), append([]byte{kind}, body...)...)
	}
	f.Add(packet(3, 0, 0, 0, 1, 0, 0, 0, 14, '/', 'o', 'n', 'e', '/', 'e', 't', 'c', '/', 'h', 'o', 's', 't', 0, 0, 0, 1, 0, 0, 0, 0))
	f.Add(packet(5, 0, 0, 0, 1, 0, 0, 0, 1, '1', 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255))
	f.Add(packet(9, 0, 0, 0, 1, 0, 0, 0, 4, '/', 'o', 'n', 'e', 255, 255, 255, 255))
	f.Add(packet(200, 0, 0, 0, 1, 0, 0, 0, 3, 'a', 'b', 'c'))
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := io.MultiReader(bytes.NewReader(packet(1, 0, 0, 0, 3)), bytes.NewReader(data))
		_ = Serve(t.Context(), struct {
			io.Reader
			io.WriteCloser
		}{in, sink{}}, options(t, &asked{answer: syscall.EACCES}, io.Discard))
	})
}

type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }
func (sink) Close() error                { return nil }

func TestUploadsAndListingsAreBounded(t *testing.T) {
	a := &asked{}
	o := options(t, a, io.Discard)
	places := make(chan struct{}, maxChanges)
	o.Upload = func() (func(), bool) { return func() { give(places) }, take(places) }
	c := client(t, o)
	var open []*sftp.File
	for i := range maxChanges {
		f, err := c.Create(fmt.Sprintf("/one/etc/new%d", i))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	if _, err := c.Create("/one/etc/more"); err == nil {
		t.Error("there is no bound for one client")
	}
	if _, err := client(t, o).Create("/one/etc/more"); err == nil {
		t.Error("there is no bound for all clients")
	}
	if err := client(t, o).Truncate("/one/etc/hosts", 1<<19); err == nil {
		t.Error("there is no bound for changes that hold memory and are no uploads")
	}
	if err := c.Mkdir("/one/etc/dir"); err == nil {
		t.Error("there is no bound for changes")
	}
	for _, f := range open {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Mkdir("/one/etc/dir"); err != nil {
		t.Errorf("after all were closed: %v", err)
	}
	for range 3 * maxListings { // each is closed by the client
		if _, err := c.ReadDir("/one/etc"); err != nil {
			t.Fatal(err)
		}
	}
}

// What is sent to a target's own scratch directory is not what a script finds there: its sender is told so, once.
func TestAnUploadToScratchIsExplained(t *testing.T) {
	var mu sync.Mutex
	var said strings.Builder
	o := options(t, &asked{}, writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(p)
	}))
	o.Scratch = []string{"/etc/tmp", "/var/tmp"}
	files := &vfs.Static{}
	files.AddFile("/etc/hosts", 0o644, []byte("hosts"))
	files.AddDir("/etc/tmp")
	o.Targets = []targets.Target{host{name: "one", files: files}}
	c := client(t, o)
	send := func(name string) string {
		t.Helper()
		f, err := c.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}
	const words = "/etc/tmp of the target is not the /etc/tmp of a script"
	for _, beside := range []string{"/one/etc/tmpfile", "/one/etc/hosts"} {
		if got := send(beside); strings.Contains(got, "of a script") {
			t.Errorf("%s: %s", beside, got)
		}
	}
	for _, within := range []string{"/one/etc/tmp/file", "/one/etc/tmp/other"} {
		if got := send(within); strings.Count(got, words) != 1 {
			t.Errorf("%s: %s", within, got)
		}
	}
}

// writer is a function that takes what is written.
type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
