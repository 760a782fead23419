package sftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/internal/sftpwire"
)

// openssh starts OpenSSH's sftp-server on a pair of pipes.
func openssh(t testing.TB) *Client {
	t.Helper()
	const server = "/usr/lib/openssh/sftp-server"
	if _, err := os.Stat(server); err != nil {
		t.Skip("no sftp-server on this machine: install openssh-sftp-server")
	}
	cmd := exec.Command(server)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := New(t.Context(), struct {
		io.Reader
		io.WriteCloser
	}{out, in}, Timing{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		_ = cmd.Wait()
	})
	return c
}

func TestFilesOfARealServerAreRead(t *testing.T) {
	c, dir, ctx := openssh(t), t.TempDir(), t.Context()
	text := bytes.Repeat([]byte("0123456789abcde\n"), 5000)
	name := filepath.Join(dir, "ünï \n code")
	if err := os.WriteFile(name, text, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("some where", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	a, err := c.Lstat(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := Info(a)
	if err != nil || !info.IsRegular() || info.Size != int64(len(text)) || info.Mode&0o777 != 0o640 || int(info.UID) != os.Getuid() {
		t.Errorf("%+v, %v", info, err)
	}
	h, err := c.Open(ctx, name, OpenRead, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		data, err := c.StartRead(ctx, h, int64(len(got)), MaxRead).Wait(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, text) {
		t.Errorf("%d bytes, want %d", len(got), len(text))
	}
	if err := c.CloseHandle(ctx, h); err != nil {
		t.Error(err)
	}
	if to, err := c.Readlink(ctx, filepath.Join(dir, "link")); to != "some where" || err != nil {
		t.Errorf("%q, %v", to, err)
	}
	entries, err := c.ReadDir(ctx, dir)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	if err != nil || len(entries) != 2 || entries[0].Name != "link" || entries[1].Name != filepath.Base(name) {
		t.Errorf("%+v, %v", entries, err)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	space, err := c.Space(ctx, dir)
	if err != nil || space.Blocks != fs.Blocks || space.BlockSize != int64(fs.Bsize) || space.FragmentSize == 0 || space.Free > space.Blocks || space.MaxName != 255 {
		t.Errorf("%+v, %v; want %+v", space, err, fs)
	}
	for what, err := range map[string]error{
		"missing space": second(c.Space(ctx, dir+"/none")),
		"missing":       second(c.Lstat(ctx, dir+"/none")),
		"missing open":  second(c.Open(ctx, dir+"/none", OpenRead, 0)),
		"empty":         second(c.Lstat(ctx, "")),
		"NUL":           second(c.Lstat(ctx, "/etc\x00/passwd")),
	} {
		if !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: %v, want ENOENT", what, err)
		}
	}
	if _, err := c.Lstat(ctx, "/"+strings.Repeat("a", 5000)); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("a long name: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestManyRequestsAreUnderWayAtOnce(t *testing.T) {
	c, dir, ctx := openssh(t), t.TempDir(), t.Context()
	var asked []Future[Attributes]
	for range 3 * Window {
		asked = append(asked, c.StartLstat(ctx, dir))
	}
	for _, a := range asked {
		if _, err := a.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !c.Idle() {
		t.Error("it is not idle afterwards")
	}
}

// hostile answers each request with what a test says. The first packet it gets is the greeting.
func hostile(t testing.TB, answer func(kind byte, id uint32, body []byte) []byte) *Client {
	t.Helper()
	return hostileWithin(t, time.Minute, answer)
}

// hostileWithin is hostile to a client that leaves a server which is silent for so long.
func hostileWithin(t testing.TB, silence time.Duration, answer func(kind byte, id uint32, body []byte) []byte) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		defer func() { _ = theirs.Close() }()
		if _, _, err := readPacket(theirs); err != nil {
			return
		}
		_, _ = theirs.Write([]byte{0, 0, 0, 5, sftpwire.TypeVersion, 0, 0, 0, 3})
		for {
			kind, body, err := readPacket(theirs)
			if err != nil {
				return
			}
			out := answer(kind, binary.BigEndian.Uint32(body), body[4:])
			if out == nil {
				continue
			}
			if _, err := theirs.Write(out); err != nil {
				return
			}
		}
	}()
	c, err := New(t.Context(), ours, Timing{Silence: silence})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// packet builds an answer.
func packet(kind byte, id uint32, build func(*sftpwire.Encoder)) []byte {
	e := sftpwire.Encoder{0, 0, 0, 0, kind}
	e.Uint32(id)
	if build != nil {
		build(&e)
	}
	binary.BigEndian.PutUint32(e, uint32(len(e)-4))
	return e
}

func handle(id uint32) []byte {
	return packet(sftpwire.TypeHandle, id, func(e *sftpwire.Encoder) { e.String("h") })
}

func TestServersThatBreakTheProtocolAreLeft(t *testing.T) {
	lstat := func(c *Client) error { return second(c.Lstat(context.Background(), "/x")) }
	readdir := func(c *Client) error { return second(c.ReadDir(context.Background(), "/x")) }
	read := func(c *Client) error {
		return second(c.StartRead(context.Background(), "h", 0, 10).Wait(context.Background()))
	}
	space := func(c *Client) error {
		c.extensions[Statvfs] = "2"
		return second(c.Space(context.Background(), "/x"))
	}
	numbers := func(list ...uint64) func(byte, uint32, []byte) []byte {
		return func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeExtendedReply, id, func(e *sftpwire.Encoder) {
				for _, n := range list {
					e.Uint64(n)
				}
			})
		}
	}
	for name, c := range map[string]struct {
		answer func(kind byte, id uint32, body []byte) []byte
		call   func(*Client) error
	}{
		"a cut file system":           {numbers(4096, 4096, 1, 1, 1), space},
		"a file system of no blocks":  {numbers(4096, 0, 1, 1, 1, 1, 1, 1, 1, 0, 255), space},
		"one of enormous blocks":      {numbers(1<<63, 4096, 1, 1, 1, 1, 1, 1, 1, 0, 255), space},
		"one of names without an end": {numbers(4096, 4096, 1, 1, 1, 1, 1, 1, 1, 0, 1<<40), space},
		"a huge packet":               {func(byte, uint32, []byte) []byte { return []byte{0x7f, 0xff, 0xff, 0xff, sftpwire.TypeAttrs, 0} }, lstat},
		"an empty packet":             {func(byte, uint32, []byte) []byte { return []byte{0, 0, 0, 0, 0} }, lstat},
		"no number":                   {func(byte, uint32, []byte) []byte { return []byte{0, 0, 0, 3, sftpwire.TypeAttrs, 0, 0} }, lstat},
		"another number":              {func(_ byte, id uint32, _ []byte) []byte { return packet(sftpwire.TypeAttrs, id+7, nil) }, lstat},
		"another type":                {func(_ byte, id uint32, _ []byte) []byte { return packet(sftpwire.TypeData, id, nil) }, lstat},
		"cut attributes": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeAttrs, id, func(e *sftpwire.Encoder) { e.Uint32(15) })
		}, lstat},
		"success without data": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeStatus, id, func(e *sftpwire.Encoder) { e.Uint32(0) })
		}, lstat},
		"a cut status": {func(_ byte, id uint32, _ []byte) []byte { return packet(sftpwire.TypeStatus, id, nil) }, lstat},
		"many extensions": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeAttrs, id, func(e *sftpwire.Encoder) { e.Uint32(sftpwire.AttrExtended); e.Uint32(1 << 31) })
		}, lstat},
		"a huge handle": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeHandle, id, func(e *sftpwire.Encoder) { e.String(strings.Repeat("h", maxHandle+1)) })
		}, readdir},
		"more entries than bytes": {func(kind byte, id uint32, _ []byte) []byte {
			if kind == sftpwire.TypeOpendir {
				return handle(id)
			}
			return packet(sftpwire.TypeName, id, func(e *sftpwire.Encoder) { e.Uint32(1 << 30) })
		}, readdir},
		"a listing without an end": {func(kind byte, id uint32, _ []byte) []byte {
			if kind == sftpwire.TypeOpendir {
				return handle(id)
			}
			return packet(sftpwire.TypeName, id, func(e *sftpwire.Encoder) { e.Uint32(0) })
		}, readdir},
		"more data than asked for": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeData, id, func(e *sftpwire.Encoder) { e.String(strings.Repeat("x", 11)) })
		}, read},
		"data of no bytes": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeData, id, func(e *sftpwire.Encoder) { e.String("") })
		}, read},
		"data longer than its packet": {func(_ byte, id uint32, _ []byte) []byte {
			return packet(sftpwire.TypeData, id, func(e *sftpwire.Encoder) { e.Uint32(5); *e = append(*e, 'x') })
		}, read},
	} {
		client := hostile(t, c.answer)
		if err := c.call(client); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
		if err := lstat(client); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: afterwards: %v, want ErrProtocol", name, err)
		}
	}
}

// A connection that ends is no end of a file.
func TestTheEndOfAConnectionIsNoEndOfAFile(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		_, _, _ = readPacket(theirs)
		_, _ = theirs.Write([]byte{0, 0, 0, 5, sftpwire.TypeVersion, 0, 0, 0, 3})
		_, _, _ = readPacket(theirs)
		_ = theirs.Close()
	}()
	c, err := New(t.Context(), ours, Timing{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.StartRead(t.Context(), "h", 0, 10).Wait(t.Context()); !errors.Is(err, ErrEnded) || errors.Is(err, io.EOF) {
			t.Errorf("%v, want ErrEnded and no io.EOF", err)
		}
	}
}

func TestAServerThatKnowsNoFileSystemsIsAskedNothing(t *testing.T) {
	c := hostile(t, func(byte, uint32, []byte) []byte { t.Error("it is asked"); return nil })
	if _, err := c.Space(t.Context(), "/"); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("%v, want EOPNOTSUPP", err)
	}
}

func TestASilentServerIsLeft(t *testing.T) {
	c := hostileWithin(t, 3*time.Second, func(byte, uint32, []byte) []byte { return nil }) // the greeting must come in time
	if _, err := c.Lstat(t.Context(), "/"); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
}

func TestAServerThatDoesNotGreetIsLeft(t *testing.T) {
	for name, greeting := range map[string][]byte{
		"silence": nil, "another version": {0, 0, 0, 5, sftpwire.TypeVersion, 0, 0, 0, 2}, "another type": {0, 0, 0, 5, sftpwire.TypeStatus, 0, 0, 0, 3},
		"text": []byte("This account is currently not available.\n"), "cut": {0, 0, 0, 2, sftpwire.TypeVersion, 0},
		"a cut extension": {0, 0, 0, 9, sftpwire.TypeVersion, 0, 0, 0, 3, 0, 0, 0, 9},
	} {
		ours, theirs := net.Pipe()
		go func() {
			_, _, _ = readPacket(theirs)
			_, _ = theirs.Write(greeting)
		}()
		if _, err := New(t.Context(), ours, Timing{Silence: 100 * time.Millisecond}); err == nil {
			t.Errorf("%s was taken for a server", name)
		}
		_ = theirs.Close()
	}
}

func TestEnormousListingsAreBounded(t *testing.T) {
	for name, entry := range map[string]string{"names": strings.Repeat("n", 200), "dots": "."} {
		c := hostile(t, func(kind byte, id uint32, _ []byte) []byte {
			if kind == sftpwire.TypeOpendir {
				return handle(id)
			}
			return packet(sftpwire.TypeName, id, func(e *sftpwire.Encoder) {
				e.Uint32(500)
				for range 500 {
					e.String(entry)
					e.String("")
					e.Uint32(0)
				}
			})
		})
		if _, err := c.ReadDir(t.Context(), "/x"); !errors.Is(err, syscall.EOVERFLOW) {
			t.Errorf("%s: %v, want EOVERFLOW", name, err)
		}
	}
}

func TestNamesThatNoDirectoryHoldsAreLeftOut(t *testing.T) {
	names := []string{"good", "", ".", "..", "../etc", "/etc/passwd", "a/b", "nul\x00", strings.Repeat("x", 256), "also good"}
	c := hostile(t, func(kind byte, id uint32, body []byte) []byte {
		if kind == sftpwire.TypeOpendir {
			return handle(id)
		}
		if names == nil {
			return packet(sftpwire.TypeStatus, id, func(e *sftpwire.Encoder) { e.Uint32(sftpwire.StatusEOF); e.String(""); e.String("") })
		}
		list := names
		names = nil
		return packet(sftpwire.TypeName, id, func(e *sftpwire.Encoder) {
			e.Uint32(uint32(len(list)))
			for _, n := range list {
				e.String(n)
				e.String("")
				e.Uint32(0)
			}
		})
	})
	entries, err := c.ReadDir(t.Context(), "/x")
	if err != nil || len(entries) != 2 || entries[0].Name != "good" || entries[1].Name != "also good" {
		t.Errorf("%+v, %v", entries, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(sftpwire.TypeAttrs), []byte{0, 0, 0, 15, 1, 2, 3})
	f.Add(byte(sftpwire.TypeName), []byte{0, 0, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0x81, 0xa4})
	f.Add(byte(sftpwire.TypeStatus), []byte{0, 0, 0, 4, 0, 0, 0, 1, 'x'})
	f.Add(byte(sftpwire.TypeHandle), []byte{0, 0, 0, 1, 'h'})
	f.Add(byte(sftpwire.TypeData), []byte{0, 0, 0, 1, 'h'})
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		c := &Client{conn: struct {
			io.Reader
			io.WriteCloser
		}{nil, discard{}}, ended: make(chan struct{})}
		r := reply{kind: kind, body: body}
		if a, err := decodeAttributes(c, r); err == nil {
			_, _ = Info(a)
		}
		if h, err := decodeHandle(c, r); err == nil && len(h) > maxHandle {
			t.Errorf("a handle of %d bytes", len(h))
		}
		_, _ = decodeStatus(c, r)
		_, _ = decodeOneName(c, r)
		d := sftpwire.NewDecoder(body)
		if names, err := readNames(d); err == nil && len(names)*12 > len(body) {
			t.Errorf("%d names in %d bytes", len(names), len(body))
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
