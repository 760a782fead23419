package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	glssh "github.com/gliderlabs/ssh"
	pkgsftp "github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/hostkeys"
	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
	"shannot-gateway/vfs"
)

// fake is a target under somebody else's control: an SSH server whose files are what a test says.
type fake struct {
	listener net.Listener
	signer   gossh.Signer

	mu    sync.Mutex
	files map[string]*fakeFile
	conns []net.Conn
	says  func(command string) string // what commands print; nil where there are none
	asked map[string]int              // by "Method path"
}

type fakeFile struct {
	mode    fs.FileMode
	size    int64 // what the server says, where it is not that of data
	data    []byte
	target  string
	read    func(p []byte, off int64) (int, error)
	opened  *fakeFile // what an open gives, where that is another file
	endless string    // entries of a listing without an end
	real    string    // the canonical path, where it is another
	listed  func()    // is called when it is listed
}

// Name, Size and so on implement fs.FileInfo for an entry.
type fakeInfo struct {
	name string
	*fakeFile
}

func (i fakeInfo) Name() string      { return i.name }
func (i fakeInfo) Mode() fs.FileMode { return i.mode }
func (i fakeInfo) ModTime() time.Time {
	return time.Unix(1e9, 0)
}
func (i fakeInfo) IsDir() bool { return i.mode.IsDir() }
func (i fakeInfo) Sys() any    { return nil }
func (i fakeInfo) Size() int64 {
	if i.size != 0 {
		return i.size
	}
	return int64(len(i.data))
}

func (f *fake) find(r *pkgsftp.Request, name string) (*fakeFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.Method+" "+name]++
	if file := f.files[name]; file != nil {
		return file, nil
	}
	return nil, fs.ErrNotExist
}

func (f *fake) Fileread(r *pkgsftp.Request) (io.ReaderAt, error) {
	file, err := f.find(r, r.Filepath)
	if err != nil {
		return nil, err
	}
	if file.opened != nil {
		file = file.opened
	}
	if file.read != nil {
		return readerAt(file.read), nil
	}
	return bytes.NewReader(file.data), nil
}

type readerAt func([]byte, int64) (int, error)

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

func (f *fake) Filewrite(*pkgsftp.Request) (io.WriterAt, error) { return nil, fs.ErrPermission }
func (f *fake) Filecmd(*pkgsftp.Request) error                  { return fs.ErrPermission }
func (f *fake) RealPath(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file := f.files[path.Clean("/"+name)]; file != nil && file.real != "" {
		return file.real, nil
	}
	return path.Clean("/" + name), nil
}
func (f *fake) Lstat(r *pkgsftp.Request) (pkgsftp.ListerAt, error) { return f.Filelist(r) }
func (f *fake) Readlink(name string) (string, error) {
	file, err := f.find(&pkgsftp.Request{Method: "Readlink"}, path.Clean(name))
	if err != nil {
		return "", err
	}
	return file.target, nil
}

func (f *fake) Filelist(r *pkgsftp.Request) (pkgsftp.ListerAt, error) {
	file, err := f.find(r, r.Filepath)
	if err != nil {
		return nil, err
	}
	if r.Method != "List" {
		return listing1{fakeInfo{path.Base(r.Filepath), file}}, nil
	}
	if file.listed != nil {
		file.listed()
	}
	if file.endless != "" {
		return endless{file.endless}, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var list listing1
	for name, child := range f.files {
		if name != "/" && path.Dir(name) == r.Filepath {
			list = append(list, fakeInfo{path.Base(name), child})
		}
	}
	return list, nil
}

type listing1 []fs.FileInfo

func (l listing1) ListAt(to []fs.FileInfo, off int64) (int, error) {
	if off >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[off:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

type endless struct{ prefix string }

func (e endless) ListAt(to []fs.FileInfo, off int64) (int, error) {
	for i := range to {
		to[i] = fakeInfo{fmt.Sprintf("%s%d", e.prefix, off+int64(i)), &fakeFile{mode: 0o644}}
	}
	return len(to), nil
}

// startFake serves the files. "/" is there by itself.
func startFake(t *testing.T, files map[string]*fakeFile) (*fake, *Target) {
	t.Helper()
	f := &fake{files: files, asked: map[string]int{}}
	f.files["/"] = &fakeFile{mode: fs.ModeDir | 0o755}
	f.newKey(t)
	var err error
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server := &glssh.Server{
		PublicKeyHandler: func(glssh.Context, glssh.PublicKey) bool { return true },
		ServerConfigCallback: func(glssh.Context) *gossh.ServerConfig { // the key may have changed
			c := &gossh.ServerConfig{}
			f.mu.Lock()
			defer f.mu.Unlock()
			c.AddHostKey(f.signer)
			return c
		},
		ConnCallback: func(_ glssh.Context, c net.Conn) net.Conn {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.conns = append(f.conns, c)
			return c
		},
		SubsystemHandlers: map[string]glssh.SubsystemHandler{"sftp": func(s glssh.Session) {
			_ = pkgsftp.NewRequestServer(s, pkgsftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f}).Serve()
		}},
		Handler: func(s glssh.Session) {
			f.mu.Lock()
			says := f.says
			f.mu.Unlock()
			if says == nil {
				_ = s.Exit(1)
				return
			}
			_, _ = io.WriteString(s, says(s.RawCommand()))
			_ = s.Exit(0)
		},
	}
	go func() { _ = server.Serve(f.listener) }()
	t.Cleanup(func() { _ = server.Close() })
	key := t.TempDir() + "/client"
	sshdtest.NewKey(t, key)
	target := New(Options{Silence: 5 * time.Second, Hops: []Hop{{
		Name: "evil", Host: "127.0.0.1", Port: f.listener.Addr().(*net.TCPAddr).Port, User: "root", Login: Login{Key: key},
		Known: hostkeys.KnownOptions{Target: "evil", Fingerprints: []string{fingerprint(f.signer.PublicKey())}},
	}}})
	t.Cleanup(func() { _ = target.Close() })
	return f, target
}

func (f *fake) newKey(t *testing.T) {
	t.Helper()
	name := t.TempDir() + "/host"
	sshdtest.NewKey(t, name)
	signer, err := hostkeys.ReadPrivate(name)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.signer = signer
	f.mu.Unlock()
}

func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}

// questions is how often the server was asked for anything.
func (f *fake) questions() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.asked {
		n += times
	}
	return n
}

// set replaces a file, or removes it.
func (f *fake) set(name string, file *fakeFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file == nil {
		delete(f.files, name)
		return
	}
	f.files[name] = file
}

// times is how often the server was asked.
func (f *fake) times(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[what]
}

func viewOf(t *testing.T, target targets.Remote, o targets.ViewOptions) targets.View {
	t.Helper()
	v := target.View(o)
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// content reads a file of a view as a script would.
func content(v vfs.Source, name string) (string, error) {
	fd, err := v.Open(name, syscall.O_RDONLY)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	return string(text), err
}

func TestTargetsThatLieAboutAFileGiveAnErrnoOrItsBytes(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	shadow := &fakeFile{mode: 0o600, data: []byte("root:secret")}
	small := []byte("text\n")
	ramp := func(size int64) func([]byte, int64) (int, error) {
		return func(p []byte, off int64) (int, error) {
			n := int(max(0, min(int64(len(p)), size-off)))
			for i := range n {
				p[i] = byte('a' + (off+int64(i))%26)
			}
			if n < len(p) {
				return n, io.EOF
			}
			return n, nil
		}
	}
	f, target := startFake(t, map[string]*fakeFile{
		"/good":    {mode: 0o644, data: small},
		"/smaller": {mode: 0o644, data: small, size: 1 << 20},
		"/larger":  {mode: 0o644, data: bytes.Repeat(small, 20_000), size: 3},
		"/zero":    {mode: 0o644, data: small, size: -1},
		"/huge":    {mode: 0o644, size: 1 << 50, read: ramp(1 << 50)},
		"/endless": {mode: 0o644, size: 10, read: ramp(1 << 60)},
		"/hang":    {mode: 0o644, size: 10, read: func([]byte, int64) (int, error) { <-hang; return 0, io.EOF }},
		"/fail":    {mode: 0o644, size: 10, read: func([]byte, int64) (int, error) { return 0, errors.New("disk") }},
		"/fifo":    {mode: fs.ModeNamedPipe | 0o644},
		"/socket":  {mode: fs.ModeSocket | 0o644},
		"/device":  {mode: fs.ModeDevice | 0o644},
		"/link":    {mode: fs.ModeSymlink | 0o777, target: "/good"},
		"/swapped": {mode: 0o644, data: small, opened: shadow, real: "/etc/shadow"},
		"/dir":     {mode: fs.ModeDir | 0o755},
		"/trickle": {mode: 0o644, size: 300, read: func(p []byte, off int64) (int, error) { return ramp(300)(p[:min(len(p), 1)], off) }},
	})
	for _, c := range []struct {
		name string
		want string
		err  error
	}{
		{"/good", "text\n", nil},
		{"/smaller", "text\n", nil},
		{"/larger", strings.Repeat("text\n", 20_000), nil},
		{"/zero", "", syscall.EIO},
		{"/endless", "", syscall.EFBIG},
		{"/hang", "", syscall.ETIMEDOUT},
		{"/fail", "", syscall.EIO},
		{"/fifo", "", syscall.ENXIO},
		{"/socket", "", syscall.ENXIO},
		{"/device", "", syscall.EACCES},
		{"/link", "", syscall.ELOOP},
		{"/swapped", "", syscall.ELOOP},
		{"/dir", "", syscall.EISDIR},
		{"/trickle", strings.Repeat("abcdefghijklmnopqrstuvwxyz", 12)[:300], nil},
		{"/none", "", syscall.ENOENT},
		{"/proc/self/environ", "", syscall.ENOENT},
	} {
		v := viewOf(t, target, targets.ViewOptions{})
		got, err := content(v, c.name)
		if got != c.want || c.err != nil && !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %d bytes, %v; want %d bytes, %v", c.name, len(got), err, len(c.want), c.err)
		}
	}
	for _, untouched := range []string{"/fifo", "/socket", "/device", "/link", "/dir"} {
		if n := f.times("Get " + untouched); n != 0 {
			t.Errorf("%s was opened", untouched)
		}
	}
}

func TestAHangingFileHoldsUpOneSessionOnly(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	_, target := startFake(t, map[string]*fakeFile{
		"/good": {mode: 0o644, data: []byte("x")},
		"/hang": {mode: 0o644, size: 10, read: func([]byte, int64) (int, error) { <-hang; return 0, io.EOF }},
	})
	var told []string
	stuck := viewOf(t, target, targets.ViewOptions{Tell: func(line string) { told = append(told, line) }})
	failed := make(chan error, 1)
	go func() {
		_, err := content(stuck, "/hang")
		failed <- err
	}()
	if got, err := content(viewOf(t, target, targets.ViewOptions{}), "/good"); got != "x" || err != nil {
		t.Errorf("another session meanwhile: %q, %v", got, err)
	}
	if err := <-failed; !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("the hanging file: %v, want ETIMEDOUT", err)
	}
	// The session has a new channel afterwards.
	if got, err := content(stuck, "/good"); got != "x" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	if len(told) != 1 || !strings.Contains(told[0], "evil") || !strings.Contains(told[0], "does not answer") {
		t.Errorf("the agent was told %q", told)
	}
}

func TestClosingAViewEndsWhatHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	began := make(chan struct{})
	_, target := startFake(t, map[string]*fakeFile{
		"/hang": {mode: 0o644, size: 10, read: func([]byte, int64) (int, error) { close(began); <-hang; return 0, io.EOF }},
	})
	target.pool.dialer.silence = time.Hour
	v := target.View(targets.ViewOptions{})
	failed := make(chan error, 1)
	go func() {
		_, err := content(v, "/hang")
		failed <- err
	}()
	<-began
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("a file of a closed view was read")
	}
	if _, err := v.Lstat("/"); err == nil {
		t.Error("a closed view answers")
	}
}

func TestAConnectionThatDropsInTheMiddleIsMadeAnew(t *testing.T) {
	var once sync.Once
	var f *fake
	f, target := startFake(t, map[string]*fakeFile{})
	f.files["/log"] = &fakeFile{mode: 0o644, size: 4, read: func(p []byte, off int64) (int, error) {
		once.Do(f.drop)
		return bytes.NewReader([]byte("line")).ReadAt(p, off)
	}}
	v := viewOf(t, target, targets.ViewOptions{})
	if got, err := content(v, "/log"); got != "line" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// Where it does not come back, the errno says so.
	_ = f.listener.Close()
	f.drop()
	v.Forget()
	if _, err := v.Lstat("/log"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("%v, want EHOSTUNREACH", err)
	}
}

func TestATargetThatChangesItsKeyInTheMiddleIsLeft(t *testing.T) {
	f, target := startFake(t, map[string]*fakeFile{"/x": {mode: 0o644}})
	var told string
	v := viewOf(t, target, targets.ViewOptions{Tell: func(line string) { told = line }})
	if _, err := v.Lstat("/x"); err != nil {
		t.Fatal(err)
	}
	f.newKey(t)
	f.drop()
	v.Forget()
	if _, err := v.Lstat("/x"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("%v, want EHOSTUNREACH", err)
	}
	if !strings.Contains(told, "has changed") || !strings.Contains(told, "targets trust evil") {
		t.Errorf("the agent was told %q", told)
	}
}

func TestEnormousListingsTakeBoundedMemory(t *testing.T) {
	_, target := startFake(t, map[string]*fakeFile{
		"/many": {mode: fs.ModeDir | 0o755, endless: strings.Repeat("n", 200)},
	})
	target.dialer.silence = time.Minute // a busy machine is no hostile target
	v := viewOf(t, target, targets.ViewOptions{})
	if _, err := v.ReadDir("/many"); !errors.Is(err, syscall.EOVERFLOW) {
		t.Errorf("%v, want EOVERFLOW", err)
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	if memory.HeapAlloc > 256<<20 {
		t.Errorf("%d MiB are held afterwards", memory.HeapAlloc>>20)
	}
}

// The session resolves links itself, by the view's words; whatever they are, nothing outside of the policy is read.
func TestLinksOfATargetLeadNowhereThatIsHidden(t *testing.T) {
	f, target := startFake(t, map[string]*fakeFile{
		"/shown":           {mode: fs.ModeDir | 0o755},
		"/shown/abs":       {mode: fs.ModeSymlink | 0o777, target: "/secret/key"},
		"/shown/rel":       {mode: fs.ModeSymlink | 0o777, target: "../../../../secret/key"},
		"/shown/loop":      {mode: fs.ModeSymlink | 0o777, target: "loop"},
		"/shown/long":      {mode: fs.ModeSymlink | 0o777, target: strings.Repeat("a/", 3000)},
		"/shown/dir":       {mode: fs.ModeSymlink | 0o777, target: "/secret"},
		"/shown/in":        {mode: fs.ModeSymlink | 0o777, target: "file"},
		"/shown/file":      {mode: 0o644, data: []byte("shown")},
		"/shown/moved":     {mode: fs.ModeDir | 0o755, real: "/secret"},
		"/shown/moved/key": {mode: 0o644, data: []byte("secret"), real: "/secret/key"},
		"/secret":          {mode: fs.ModeDir | 0o755},
		"/secret/key":      {mode: 0o644, data: []byte("secret")},
	})
	policy, err := vfs.NewPolicy([]string{"/shown"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := viewOf(t, target, targets.ViewOptions{Policy: policy})
	s, err := vfs.NewSession(vfs.Config{Base: v, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	read := func(name string) (string, error) {
		file, err := s.Open(name, syscall.O_RDONLY, 0)
		if err != nil {
			return "", err
		}
		defer func() { _ = file.Close() }()
		fd, err := file.Descriptor(syscall.O_RDONLY)
		if err != nil {
			return "", err
		}
		f := os.NewFile(uintptr(fd), name)
		defer func() { _ = f.Close() }()
		text, err := io.ReadAll(f)
		return string(text), err
	}
	if got, err := read("/shown/in"); got != "shown" || err != nil {
		t.Errorf("a link to what is shown: %q, %v", got, err)
	}
	for _, name := range []string{"/shown/abs", "/shown/rel", "/shown/loop", "/shown/long", "/shown/dir/key", "/secret/key", "/shown/../secret/key", "/shown/moved/key"} {
		if got, err := read(name); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := v.ReadDir("/shown/moved"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a directory that leads elsewhere: %v, want ELOOP", err)
	}
	for name := range f.files {
		if strings.HasPrefix(name, "/secret") && (f.times("Get "+name) > 0 || f.times("List "+name) > 0) {
			t.Errorf("%s was read", name)
		}
	}
}

func TestWhatIsReadAheadIsWithinThePolicy(t *testing.T) {
	files := map[string]*fakeFile{"/dir": {mode: fs.ModeDir | 0o755}, "/dir/sub-hidden": {mode: fs.ModeDir | 0o755}}
	for i := range 40 {
		files[fmt.Sprintf("/dir/f%02d", i)] = &fakeFile{mode: 0o644, data: []byte("x")}
		files[fmt.Sprintf("/dir/f%02d-hidden", i)] = &fakeFile{mode: 0o644, data: []byte("secret")}
		files[fmt.Sprintf("/dir/p%02d", i)] = &fakeFile{mode: fs.ModeNamedPipe | 0o644}
	}
	f, target := startFake(t, files)
	policy, err := vfs.NewPolicy([]string{"/dir"}, []string{"/dir/*-hidden"})
	if err != nil {
		t.Fatal(err)
	}
	v := viewOf(t, target, targets.ViewOptions{Policy: policy})
	entries, err := v.ReadDir("/dir")
	if err != nil || len(entries) != 121 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for i := range 40 {
		if got, err := content(v, fmt.Sprintf("/dir/f%02d", i)); got != "x" || err != nil {
			t.Fatalf("file %d: %q, %v", i, got, err)
		}
	}
	for name := range files {
		n := f.times("Get " + name)
		if strings.HasSuffix(name, "hidden") || strings.HasPrefix(name, "/dir/p") {
			if n > 0 {
				t.Errorf("%s was opened", name)
			}
		} else if strings.HasPrefix(name, "/dir/f") && n != 1 {
			t.Errorf("%s was opened %d times", name, n)
		}
	}
}

// A kernel's own files say that they are empty.
func TestKernelFilesAreReadToTheirEnd(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	v := viewOf(t, target, targets.ViewOptions{})
	for _, name := range []string{"/proc/version", "/proc/meminfo", "/proc/cpuinfo", "/proc/1/status", "/sys/kernel/mm/transparent_hugepage/enabled"} {
		want, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		got, err := content(v, name)
		if err != nil || len(got) == 0 || name == "/proc/version" && got != string(want) || strings.Count(got, "\n") != strings.Count(string(want), "\n") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	entries, err := v.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range entries {
		if d.Name == "self" || d.Name == "thread-self" {
			t.Errorf("/proc shows %s", d.Name)
		}
	}
}

func TestManySessionsReadAtOnce(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 20 {
		text := strings.Repeat(fmt.Sprint(i, "\n"), i*1000+1)
		want = append(want, text)
		if err := os.WriteFile(fmt.Sprintf("%s/%02d", dir, i), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target := connect(t, sshdtest.Start(t))
	policy, err := vfs.NewPolicy([]string{"/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			v := target.View(targets.ViewOptions{Policy: policy})
			defer func() { _ = v.Close() }()
			if _, err := v.ReadDir(dir); err != nil {
				t.Error(err)
			}
			for i, text := range want {
				got, err := content(v, fmt.Sprintf("%s/%02d", dir, i))
				if got != text || err != nil {
					t.Errorf("file %d: %d bytes, %v; want %d", i, len(got), err, len(text))
				}
			}
		})
	}
	all.Wait()
}
