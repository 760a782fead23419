package relay

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/vfs"
)

// textOf is what a change writes.
func textOf(c vfs.Change) string {
	fd, err := c.Open()
	if err != nil {
		return err.Error()
	}
	f := os.NewFile(uintptr(fd), "content")
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// rawClient says what it likes, and waits for each answer.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	id   uint32
}

func raw(t *testing.T, o Options) *rawClient {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Serve(t.Context(), theirs, o)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		<-done
	})
	c := &rawClient{t: t, conn: ours}
	p := sftpwire.NewPacket(sftpwire.TypeInit)
	p.Uint32(3)
	c.write(p)
	if kind, _ := c.read(); kind != sftpwire.TypeVersion {
		t.Fatalf("greeted with type %d", kind)
	}
	return c
}

func (c *rawClient) write(p sftpwire.Encoder) {
	c.t.Helper()
	if _, err := c.conn.Write(p.Finish()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) read() (kind byte, d *sftpwire.Decoder) {
	c.t.Helper()
	kind, body, err := sftpwire.ReadPacket(c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return kind, sftpwire.NewDecoder(body)
}

// send sends a request without waiting, and returns its number.
func (c *rawClient) send(kind byte, build func(*sftpwire.Encoder)) uint32 {
	c.t.Helper()
	c.id++
	p := sftpwire.NewPacket(kind)
	p.Uint32(c.id)
	build(&p)
	c.write(p)
	return c.id
}

// ask sends a request and returns the answer: its type, and what follows the number.
func (c *rawClient) ask(kind byte, build func(*sftpwire.Encoder)) (byte, *sftpwire.Decoder) {
	c.t.Helper()
	id := c.send(kind, build)
	got, d := c.read()
	if answered := d.Uint32(); answered != id {
		c.t.Fatalf("an answer to %d, not %d", answered, id)
	}
	return got, d
}

// status asks for a status: its code and text.
func (c *rawClient) status(kind byte, build func(*sftpwire.Encoder)) (uint32, string) {
	c.t.Helper()
	got, d := c.ask(kind, build)
	if got != sftpwire.TypeStatus {
		c.t.Fatalf("type %d, not a status", got)
	}
	return d.Uint32(), d.String()
}

// open opens a file with these flags, and with a mode where there is one; "" with the status where it is refused.
func (c *rawClient) open(name string, flags uint32, mode ...uint32) (handle string, code uint32, text string) {
	c.t.Helper()
	kind, d := c.ask(sftpwire.TypeOpen, func(e *sftpwire.Encoder) {
		e.String(name)
		e.Uint32(flags)
		var a sftpwire.Attributes
		if len(mode) > 0 {
			a.Flags, a.Mode = sftpwire.AttrPermissions, mode[0]
		}
		e.Attributes(a)
	})
	if kind == sftpwire.TypeHandle {
		return d.String(), sftpwire.StatusOK, ""
	}
	return "", d.Uint32(), d.String()
}

func (c *rawClient) put(handle string, offset uint64, text string) uint32 {
	c.t.Helper()
	code, _ := c.status(sftpwire.TypeWrite, func(e *sftpwire.Encoder) {
		e.String(handle)
		e.Uint64(offset)
		e.String(text)
	})
	return code
}

func (c *rawClient) close(handle string) (uint32, string) {
	c.t.Helper()
	return c.status(sftpwire.TypeClose, func(e *sftpwire.Encoder) { e.String(handle) })
}

// A secret stays one, and a program runs: a new file has the mode that the client gives it, as a login's own would.
func TestNewFilesHaveTheClientsMode(t *testing.T) {
	for _, c := range []struct {
		given []uint32
		want  uint32
	}{{[]uint32{0o600}, 0o600}, {[]uint32{0o755}, 0o755}, {[]uint32{0o666}, 0o644}, {[]uint32{0o4777}, 0o755}, {nil, 0o644}} {
		a := &asked{}
		client := raw(t, options(t, a, io.Discard))
		h, code, text := client.open("/one/etc/new", openWrite|openCreate|openTrunc, c.given...)
		if code != sftpwire.StatusOK {
			t.Fatalf("%o: %d %s", c.given, code, text)
		}
		if code, text := client.close(h); code != sftpwire.StatusOK {
			t.Errorf("%o: %d %s", c.given, code, text)
		}
		if len(a.modes) != 1 || a.modes[0] != c.want {
			t.Errorf("mode %o became %o, not %o", c.given, a.modes, c.want)
		}
	}
}

func TestNewDirectoriesHaveTheClientsMode(t *testing.T) {
	a := &asked{}
	c := raw(t, options(t, a, io.Discard))
	for _, mode := range []uint32{0o700, 0o777} {
		code, text := c.status(sftpwire.TypeMkdir, func(e *sftpwire.Encoder) {
			e.String(fmt.Sprintf("/one/etc/dir%o", mode))
			e.Attributes(sftpwire.Attributes{Flags: sftpwire.AttrPermissions, Mode: mode})
		})
		if code != sftpwire.StatusOK {
			t.Errorf("%d %s", code, text)
		}
	}
	if len(a.modes) != 2 || a.modes[0] != 0o700 || a.modes[1] != 0o755 {
		t.Errorf("modes %o", a.modes)
	}
}

// The flags of paramiko's a, ax and r+, of sshfs, and of sftp's reput.
func TestFilesAreOpenedAsTheFlagsSay(t *testing.T) {
	a := &asked{}
	c := raw(t, options(t, a, io.Discard))
	h, code, text := c.open("/one/etc/hosts", openWrite|openCreate|openAppend)
	if code != sftpwire.StatusOK {
		t.Fatalf("append: %d %s", code, text)
	}
	for _, piece := range []string{" and", " more"} {
		if code := c.put(h, 0, piece); code != sftpwire.StatusOK {
			t.Errorf("append: status %d", code)
		}
	}
	c.close(h)
	if _, code, text := c.open("/one/etc/hosts", openWrite|openCreate|openAppend|openExcl); code != sftpwire.StatusFailure || !strings.Contains(text, "exists") {
		t.Errorf("exclusive, of a file that is there: %d %s", code, text)
	}
	h, code, text = c.open("/one/etc/hosts", openWrite)
	if code != sftpwire.StatusOK {
		t.Fatalf("write: %d %s", code, text)
	}
	c.put(h, 5, "X")
	if code, _ := c.status(sftpwire.TypeRead, func(e *sftpwire.Encoder) {
		e.String(h)
		e.Uint64(0)
		e.Uint32(10)
	}); code != sftpwire.StatusFailure {
		t.Errorf("read of a file that was opened for writing alone: status %d", code)
	}
	c.close(h)
	h, _, _ = c.open("/one/etc/hosts", openRead|openWrite)
	c.put(h, 0, "Y")
	kind, d := c.ask(sftpwire.TypeRead, func(e *sftpwire.Encoder) {
		e.String(h)
		e.Uint64(0)
		e.Uint32(10)
	})
	if kind != sftpwire.TypeData || d.String() != "Yosts" {
		t.Errorf("read and write: type %d", kind)
	}
	c.close(h)
	if _, code, _ := c.open("/one/etc/none", openWrite); code != sftpwire.StatusNoSuchFile {
		t.Errorf("write to what is not there: status %d", code)
	}
	if want := "hosts and more|hostsX|Yosts"; strings.Join(a.texts, "|") != want {
		t.Errorf("asked about %q", a.texts)
	}
}

// What a client uploads is there for it at once, as sshfs needs it: described by name and by handle, cut, given a mode.
func TestAnUploadIsThereForItsClient(t *testing.T) {
	a := &asked{}
	c := raw(t, options(t, a, io.Discard))
	h, _, _ := c.open("/one/etc/new", openRead|openWrite|openCreate, 0o600)
	c.put(h, 0, "some text")
	describe := func(kind byte, what string) sftpwire.Attributes {
		t.Helper()
		got, d := c.ask(kind, func(e *sftpwire.Encoder) { e.String(what) })
		if got != sftpwire.TypeAttrs {
			t.Fatalf("type %d: status %d", got, d.Uint32())
		}
		return d.Attributes()
	}
	for kind, what := range map[byte]string{sftpwire.TypeStat: "/one/etc/new", sftpwire.TypeLstat: "/one/etc/new", sftpwire.TypeFstat: h} {
		if got := describe(kind, what); got.Size != 9 || got.Mode != syscall.S_IFREG|0o600 {
			t.Errorf("type %d: %+v", kind, got)
		}
	}
	read, _, _ := c.open("/one/etc/new", openRead)
	if kind, d := c.ask(sftpwire.TypeRead, func(e *sftpwire.Encoder) {
		e.String(read)
		e.Uint64(0)
		e.Uint32(100)
	}); kind != sftpwire.TypeData || d.String() != "some text" {
		t.Errorf("read: type %d", kind)
	}
	c.close(read)
	set := func(kind byte, what string, a sftpwire.Attributes) uint32 {
		code, _ := c.status(kind, func(e *sftpwire.Encoder) { e.String(what); e.Attributes(a) })
		return code
	}
	if code := set(sftpwire.TypeSetstat, "/one/etc/new", sftpwire.Attributes{Flags: sftpwire.AttrSize, Size: 4}); code != sftpwire.StatusOK {
		t.Errorf("size: status %d", code)
	}
	if code := set(sftpwire.TypeFsetstat, h, sftpwire.Attributes{Flags: sftpwire.AttrPermissions, Mode: 0o751}); code != sftpwire.StatusOK {
		t.Errorf("mode: status %d", code)
	}
	if code := set(sftpwire.TypeFsetstat, h, sftpwire.Attributes{Flags: sftpwire.AttrTimes, Atime: 5, Mtime: 6}); code != sftpwire.StatusOK {
		t.Errorf("times: status %d", code)
	}
	c.close(h)
	if a.all() != "one write /etc/new" || a.texts[0] != "some" || a.modes[0] != 0o751 {
		t.Errorf("asked about %q, %q, %o", a.all(), a.texts, a.modes)
	}
}

// sshfs describes a file without waiting for the answer to its open.
func TestAFileIsDescribedAfterItsOpen(t *testing.T) {
	c := raw(t, options(t, &asked{}, io.Discard))
	for i := range 20 {
		name := fmt.Sprintf("/one/etc/new%d", i)
		var ids []uint32
		var together sftpwire.Encoder
		for _, kind := range []byte{sftpwire.TypeOpen, sftpwire.TypeLstat} {
			c.id++
			ids = append(ids, c.id)
			p := sftpwire.NewPacket(kind)
			p.Uint32(c.id)
			p.String(name)
			if kind == sftpwire.TypeOpen {
				p.Uint32(openWrite | openCreate | openExcl)
				p.Attributes(sftpwire.Attributes{})
			}
			together = append(together, p.Finish()...)
		}
		go func() { _, _ = c.conn.Write(together) }()
		_, d := c.read()
		if got := d.Uint32(); got != ids[0] {
			t.Fatalf("an answer to %d, not %d", got, ids[0])
		}
		handle := d.String()
		if kind, d := c.read(); kind != sftpwire.TypeAttrs || d.Uint32() != ids[1] {
			t.Fatalf("%s: type %d", name, kind)
		}
		c.close(handle)
	}
}

// A size beyond the limit is refused, and never made the limit; without a limit it is what was asked for.
func TestASizeThatIsSetIsThatOrRefused(t *testing.T) {
	a := &asked{}
	o := options(t, a, io.Discard)
	c := raw(t, o)
	h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
	size := func(c *rawClient, h string, n uint64) uint32 {
		code, _ := c.status(sftpwire.TypeFsetstat, func(e *sftpwire.Encoder) {
			e.String(h)
			e.Attributes(sftpwire.Attributes{Flags: sftpwire.AttrSize, Size: n})
		})
		return code
	}
	if code := size(c, h, 1<<20+1); code != sftpwire.StatusFailure {
		t.Errorf("beyond the limit: status %d", code)
	}
	if code, _ := c.close(h); code == sftpwire.StatusOK || a.all() != "" {
		t.Errorf("closed with status %d, asked about %q", code, a.all())
	}
	o.MaxFile = 0
	c = raw(t, o)
	h, _, _ = c.open("/one/etc/new", openWrite|openCreate)
	c.put(h, 0, "text")
	if code := size(c, h, 2<<20); code != sftpwire.StatusOK {
		t.Errorf("without a limit: status %d", code)
	}
	c.close(h)
	if len(a.texts) != 1 || len(a.texts[0]) != 2<<20 || !strings.HasPrefix(a.texts[0], "text") {
		t.Errorf("asked about %d texts", len(a.texts))
	}
}

// Clients exist that never look at how a file was closed.
func TestWhatCannotBeChangedIsRefusedWhenItIsOpened(t *testing.T) {
	var notices strings.Builder
	a := &asked{}
	c := raw(t, options(t, a, &notices))
	if _, code, text := c.open("/one/srv/new", openWrite|openCreate); code == sftpwire.StatusOK {
		t.Errorf("what is not shown was opened: %s", text)
	}
	if a.all() != "" {
		t.Errorf("asked about %q", a.all())
	}
}

// What comes back names the session and the reason, which is all that many clients show.
func TestARefusalNamesTheSessionAndTheReason(t *testing.T) {
	a := &asked{answer: fmt.Errorf("%w: rejected by alice: not on a Friday\x1b[2J", syscall.EACCES)}
	c := raw(t, options(t, a, io.Discard))
	h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
	code, text := c.close(h)
	if code != sftpwire.StatusPermissionDenied || !strings.Contains(text, "session abcd1234: ") || !strings.Contains(text, "not on a Friday") ||
		strings.Contains(text, "\x1b") {
		t.Errorf("%d %q", code, text)
	}
}

// While a human decides, the client reads on; a rename that follows the upload finds the file.
func TestAChangeThatWaitsKeepsNoReadWaiting(t *testing.T) {
	o, asking, letGo, _ := waiting(t)
	c := raw(t, o)
	h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
	closing := c.send(sftpwire.TypeClose, func(e *sftpwire.Encoder) { e.String(h) })
	if got := <-asking; got != "sftp: put /one/etc/new" {
		t.Errorf("asked about %q", got)
	}
	renaming := c.send(sftpwire.TypeExtended, func(e *sftpwire.Encoder) {
		e.String("posix-rename@openssh.com")
		e.String("/one/etc/hosts")
		e.String("/one/etc/moved")
	})
	if kind, d := c.ask(sftpwire.TypeStat, func(e *sftpwire.Encoder) { e.String("/one/etc/new") }); kind != sftpwire.TypeAttrs {
		t.Errorf("an upload that waits: type %d, status %d", kind, d.Uint32())
	}
	if code, text := c.status(sftpwire.TypeSetstat, func(e *sftpwire.Encoder) {
		e.String("/one/etc/new")
		e.Attributes(sftpwire.Attributes{Flags: sftpwire.AttrPermissions, Mode: 0o4755})
	}); code != sftpwire.StatusFailure || !strings.Contains(text, "waits for a human") {
		t.Errorf("what a human looks at was changed: %d %s", code, text)
	}
	read, _, _ := c.open("/one/etc/hosts", openRead)
	if kind, d := c.ask(sftpwire.TypeRead, func(e *sftpwire.Encoder) {
		e.String(read)
		e.Uint64(0)
		e.Uint32(100)
	}); kind != sftpwire.TypeData || d.String() != "hosts" {
		t.Errorf("read: type %d", kind)
	}
	select {
	case got := <-asking:
		t.Errorf("asked about %q before the upload was decided on", got)
	default:
	}
	letGo()
	for _, want := range []uint32{closing, renaming} {
		if kind, d := c.read(); kind != sftpwire.TypeStatus || d.Uint32() != want {
			t.Errorf("type %d is not the answer to %d", kind, want)
		}
	}
	if got := <-asking; got != "sftp: posixrename /one/etc/hosts /one/etc/moved" {
		t.Errorf("asked about %q", got)
	}
}

func TestServersTellTheirLimitsAndSpace(t *testing.T) {
	c := client(t, options(t, &asked{}, io.Discard))
	for _, name := range []string{"posix-rename@openssh.com", "statvfs@openssh.com", "limits@openssh.com"} {
		if _, ok := c.HasExtension(name); !ok {
			t.Errorf("%s is not announced", name)
		}
	}
	for _, name := range []string{"/", "/one", "/one/etc", "/one/etc/hosts"} {
		if space, err := c.StatVFS(name); err != nil || space.Bsize == 0 || space.Namemax != 255 {
			t.Errorf("%s: %+v, %v", name, space, err)
		}
	}
	if _, err := c.StatVFS("/one/etc/none"); err == nil {
		t.Error("a file that is not there has a file system")
	}
}

// Packets that are cut short are refused one by one, and end nothing.
func TestRequestsThatAreCutShortAreRefused(t *testing.T) {
	c := raw(t, options(t, &asked{}, io.Discard))
	for kind := range requests {
		if code, _ := c.status(kind, func(e *sftpwire.Encoder) { *e = append(*e, 0, 0, 0, 9, 'x') }); code != sftpwire.StatusBadMessage && code != sftpwire.StatusUnsupported {
			t.Errorf("type %d: status %d", kind, code)
		}
	}
	// Attributes that are announced and missing, with the flags that appending has.
	if code, _ := c.status(sftpwire.TypeOpen, func(e *sftpwire.Encoder) {
		e.String("/one/etc/new")
		e.Uint32(openWrite | openAppend | openCreate)
		e.Uint32(sftpwire.AttrPermissions)
	}); code != sftpwire.StatusBadMessage {
		t.Errorf("status %d", code)
	}
	if code, _ := c.status(77, func(*sftpwire.Encoder) {}); code != sftpwire.StatusUnsupported {
		t.Errorf("an unknown type: status %d", code)
	}
	if code, _ := c.close("1"); code != sftpwire.StatusFailure {
		t.Errorf("a handle that is none: status %d", code)
	}
}

// Reads that are under way when a file is closed are answered first, and a handle is nobody's after that.
func TestAFileIsClosedAfterItsReads(t *testing.T) {
	c := client(t, options(t, &asked{}, io.Discard))
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			f, err := c.Open("/one/etc/hosts")
			if err != nil {
				t.Error(err)
				return
			}
			text, err := io.ReadAll(f)
			if err != nil || string(text) != "hosts" {
				t.Errorf("%q, %v", text, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
}

func TestLongNamesAreThoseOfLs(t *testing.T) {
	for mode, want := range map[uint32]string{
		syscall.S_IFREG | 0o644: "-rw-r--r--", syscall.S_IFDIR | 0o1777: "drwxrwxrwt", syscall.S_IFREG | 0o4755: "-rwsr-xr-x",
		syscall.S_IFREG | 0o2640: "-rw-r-S---", syscall.S_IFLNK | 0o777: "lrwxrwxrwx", syscall.S_IFCHR | 0o1600: "crw------T",
		syscall.S_IFIFO: "p---------", syscall.S_IFSOCK: "s---------", syscall.S_IFBLK: "b---------",
	} {
		if got := modeString(mode); got != want {
			t.Errorf("%o is %q, not %q", mode, got, want)
		}
	}
}

// slowStart is a file whose first bytes take their time.
type slowStart struct {
	io.ReaderAt
	begin chan struct{}
}

func (s slowStart) ReadAt(p []byte, off int64) (int, error) {
	if off == 0 {
		<-s.begin
	}
	return s.ReaderAt.ReadAt(p, off)
}

func (slowStart) Close() error { return nil }

// A client takes the end of a file for the end of all that it asked for before.
func TestReadsOfAFileAreAnsweredInOrder(t *testing.T) {
	out := &sent{}
	s := newServer(newRelay(t.Context(), options(t, &asked{}, io.Discard)), out)
	file := slowStart{strings.NewReader("text"), make(chan struct{})}
	s.handles.opened["1"] = &handle{reader: &reader{file, func() {}}}
	ask := func(id uint32, kind byte, build func(*sftpwire.Encoder)) {
		t.Helper()
		var e sftpwire.Encoder
		build(&e)
		if err := requests[kind](s, request{id, sftpwire.NewDecoder(e)}); err != nil {
			t.Fatal(err)
		}
	}
	for id, offset := range []uint64{0, 2, 4, 100} {
		ask(uint32(id), sftpwire.TypeRead, func(e *sftpwire.Encoder) { e.String("1"); e.Uint64(offset); e.Uint32(9) })
	}
	ask(4, sftpwire.TypeClose, func(e *sftpwire.Encoder) { e.String("1") })
	close(file.begin)
	s.work.Wait()
	if got := fmt.Sprint(out.ids(t)); got != "[0 1 2 3 4]" {
		t.Errorf("answered in the order %s", got)
	}
}

// sent keeps what a server says.
type sent struct {
	strings.Builder
}

func (*sent) Read([]byte) (int, error) { return 0, io.EOF }

func (s *sent) ids(t *testing.T) (ids []uint32) {
	t.Helper()
	from := strings.NewReader(s.String())
	for {
		_, body, err := sftpwire.ReadPacket(from)
		if err != nil {
			return ids
		}
		ids = append(ids, sftpwire.NewDecoder(body).Uint32())
	}
}
