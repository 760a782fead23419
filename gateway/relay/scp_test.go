package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
)

func TestScpIsKnownByItsWords(t *testing.T) {
	for line, want := range map[string]string{
		"-f /prod/etc/hosts":       "{false false false false /prod/etc/hosts}",
		"-r -p -f /prod/etc":       "{false true true false /prod/etc}",
		"-v -rpf -- /prod/-x":      "{false true true false /prod/-x}",
		"-t /prod/tmp/":            "{true false false false /prod/tmp/}",
		"-q -d -t /prod/tmp":       "{true false false true /prod/tmp}",
		"":                         "",
		"-t":                       "",
		"-f -t /prod/x":            "",
		"-f /prod/x /prod/y":       "",
		"-f -S /bin/sh /prod/x":    "",
		"-oProxyCommand=x -f /x":   "",
		"/prod/x /prod/y":          "",
		"host:/x .":                "",
		"-r host:/x .":             "",
		"-f -- -oProxyCommand=x y": "",
	} {
		got := ""
		if c, ok := ParseCopy(strings.Fields(line)); ok {
			got = fmt.Sprint(c)
		}
		if got != want {
			t.Errorf("scp %s: %s, want %s", line, got, want)
		}
	}
}

func TestHeadersOfScpAreReadStrictly(t *testing.T) {
	for line, want := range map[string]string{
		"0644 0 x":                           "644 0 x",
		"0755 9223372036854775807 a b":       "755 9223372036854775807 a b",
		"4755 3 ünï":                         "4755 3 ünï",
		"0644 1 ..x":                         "644 1 ..x",
		"0644 9223372036854775808 x":         "",
		"0644 -1 x":                          "",
		"0644 +1 x":                          "",
		"0644 01 x":                          "",
		"0644  1 x":                          "",
		"0644 1 ":                            "",
		"0644 1":                             "",
		"0644":                               "",
		"644 1 x":                            "",
		"00644 1 x":                          "",
		"0648 1 x":                           "",
		"0644 1 ../x":                        "",
		"0644 1 /etc/shadow":                 "",
		"0644 1 .":                           "",
		"0644 1 ..":                          "",
		"0644 1 a\x00b":                      "",
		"0644 1 a\rb":                        "",
		"0644 1 \x1b[2J":                     "",
		"0644 1 " + strings.Repeat("x", 256): "",
	} {
		got := ""
		if h, err := parseHeader(line); err == nil {
			got = fmt.Sprintf("%o %d %s", h.mode, h.size, h.name)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	for line, ok := range map[string]bool{
		"1700000000 0 1700000001 0": true, "0 0 0 0": true, "-1 0 0 0": false, "1 0 1": false, "1 0 1 0 ": false,
		"99999999999 0 1 0": false, "1 x 1 0": false, "": false,
	} {
		if _, _, err := parseTimes(line); (err == nil) != ok {
			t.Errorf("times %q: %v", line, err)
		}
	}
}

// copied is what a relay says to a client that says all this.
func copied(t testing.TB, o Options, q Copy, client string) (said string, ok bool, err error) {
	t.Helper()
	var out bytes.Buffer
	ok, err = ServeCopy(t.Context(), struct {
		io.Reader
		io.Writer
	}{strings.NewReader(client), &out}, o, q)
	return out.String(), ok, err
}

func TestScpGetsWhatThePolicyShows(t *testing.T) {
	o := options(t, &asked{}, io.Discard)
	for _, c := range []struct {
		q      Copy
		client string
		want   string
		ok     bool
	}{
		{Copy{Path: "/one/etc/hosts"}, "\x00\x00\x00", "C0644 5 hosts\nhosts\x00", true},
		{Copy{Path: "/one/etc/hosts", Times: true}, "\x00\x00\x00\x00", "T0 0 0 0\nC0644 5 hosts\nhosts\x00", true},
		{Copy{Path: "/one/etc/hosts"}, "\x00\x01no room\n", "C0644 5 hosts\n", false},
		{Copy{Path: "/one/etc/hosts"}, "\x00\x02", "C0644 5 hosts\n", false},
		{Copy{Path: "/one/etc", Recursive: true}, strings.Repeat("\x00", 20), "D0755 0 etc\nC0644 5 hosts\nhosts\x00" +
			"\x01scp: /one/etc/out: no such file or directory\n\x01scp: /one/etc/up: no such file or directory\nE\n", false},
		{Copy{Path: "/one/etc"}, "\x00", "\x01scp: /one/etc: a directory: use -r\n", false},
		{Copy{Path: "/one/etc/shadow"}, "\x00", "\x01scp: /one/etc/shadow: permission denied: the read policy does not show it\n", false},
		{Copy{Path: "/one/etc/out"}, "\x00", "\x01scp: /one/etc/out: no such file or directory\n", false},
		{Copy{Path: "/one/etc/../root/key"}, "\x00", "\x01scp: /one/etc/../root/key: permission denied: the read policy does not show it\n", false},
		{Copy{Path: "/three/x"}, "\x00", "\x01scp: /three/x: no such file or directory\n", false},
		{Copy{Path: "/", Recursive: true}, "\x00", "\x01scp: /: name a target: /TARGET/path\n", false},
		{Copy{Path: "/one/\n\x1b[2J"}, "\x00", "", false},
		{Copy{Path: "/one/etc/hosts"}, "", "", true}, // the client has left
	} {
		said, ok, _ := copied(t, o, c.q, c.client)
		if ok != c.ok || said != c.want && c.want != "" {
			t.Errorf("%+v, client %q: %q, %v", c.q, c.client, said, ok)
		}
		if strings.Contains(said, "secret") || strings.Count(said, "\x1b") > 0 {
			t.Errorf("%+v, client %q: %q", c.q, c.client, said)
		}
	}
}

func TestScpReadsAreToldOf(t *testing.T) {
	o := options(t, &asked{}, io.Discard)
	var told []string
	o.Opened = func(_ context.Context, target, _, path string, _ error) error {
		told = append(told, target+" "+path)
		return errors.New("the audit log is full")
	}
	said, ok, _ := copied(t, o, Copy{Path: "/one/etc/hosts"}, "\x00\x00\x00")
	if ok || strings.Contains(said, "hosts\x00") || len(told) != 1 || told[0] != "one /etc/hosts" {
		t.Errorf("%q, %v, told %q", said, ok, told)
	}
}

func TestScpBringsOneChangeForEachFile(t *testing.T) {
	for _, c := range []struct {
		q      Copy
		client string
		want   string // said
		asked  string
	}{
		{Copy{Path: "/one/etc/new"}, "C0640 3 x\nabc\x00", "\x00\x00\x00", "one write /etc/new"},
		{Copy{Path: "/one/etc"}, "C0640 3 x\nabc\x00C0600 0 y\n\x00", "\x00\x00\x00\x00\x00", "one write /etc/x; one write /etc/y"},
		{Copy{Path: "/one/etc", Directory: true, Times: true}, "T1700000000 0 1700000000 0\nC0640 1 x\na\x00", "\x00\x00\x00\x00", "one write /etc/x"},
		// What a client is not let do, or says wrong.
		{Copy{Path: "/one/etc/hosts", Directory: true}, "C0640 3 x\nabc\x00", "\x01scp: /one/etc/hosts: not a directory\n", ""},
		{Copy{Path: "/one/etc/shadow"}, "C0640 3 x\nabc\x00", "\x00\x01scp: /one/etc/shadow: permission denied: it is not shown\n", ""},
		{Copy{Path: "/one/root/new"}, "C0640 3 x\nabc\x00", "\x00\x01", ""},
		{Copy{Path: "/three/new"}, "C0640 3 x\nabc\x00", "\x00\x01", ""},
		{Copy{Path: "/"}, "C0640 3 x\nabc\x00", "\x00\x01", ""},
		{Copy{Path: "/one/etc"}, "C0640 3 ../../root/x\nabc\x00", "\x00", ""},
		{Copy{Path: "/one/etc/new"}, "C0640 2000000 x\n", "\x00\x01scp: /one/etc/new: file too large\n", ""},
		{Copy{Path: "/one/etc/new"}, "C0640 9 x\nabc", "\x00\x00", ""},                                              // cut short
		{Copy{Path: "/one/etc/new"}, "C0640 3 x\nabc", "\x00\x00", ""},                                              // before the last word
		{Copy{Path: "/one/etc/new"}, "C0640 3 x\nabc\x01x: disk\n", "\x00\x00\x01scp: /one/etc/new: your side", ""}, // a read error there
		{Copy{Path: "/one/etc", Recursive: true}, "D0755 0 d\nC0640 3 x\nabc\x00E\n", "\x00\x02scp: directories", ""},
		{Copy{Path: "/one/etc/new"}, "C0640 3 " + strings.Repeat("x", 10_000), "\x00", ""},
		{Copy{Path: "/one/etc/new"}, "X\n", "\x00", ""},
		{Copy{Path: "/one/etc/new"}, "\x02fatal\n", "\x00", ""},
	} {
		a := &asked{}
		c.q.Brings = true
		said, ok, err := copied(t, options(t, a, io.Discard), c.q, c.client)
		if !strings.HasPrefix(said, c.want) || a.all() != c.asked || (ok && err == nil) != (c.asked != "") {
			t.Errorf("%+v, client %.80q: said %q, asked %q, %v, %v", c.q, c.client, said, a.all(), ok, err)
		}
	}
	a := &asked{answer: syscall.EACCES}
	said, ok, _ := copied(t, options(t, a, io.Discard), Copy{Path: "/one/etc/new", Brings: true}, "C0640 3 x\nabc\x00")
	if said != "\x00\x00\x01scp: /one/etc/new: session abcd1234: permission denied\n" || ok {
		t.Errorf("rejected: %q, %v", said, ok)
	}
}

func FuzzScpHeader(f *testing.F) {
	for _, seed := range []string{"0644 0 x", "4755 12 a b", "0644 1 ../x", "1700000000 0 1700000000 0", "0644 18446744073709551616 x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if h, err := parseHeader(line); err == nil {
			if again := fmt.Sprintf("%04o %d %s", h.mode, h.size, h.name); again != line || h.size < 0 || !plainName(h.name) {
				t.Errorf("%q is read as %q", line, again)
			}
		}
		if mtime, atime, err := parseTimes(line); err == nil && (mtime.Unix() < 0 || atime.Unix() < 0) {
			t.Errorf("%q is read as %v, %v", line, mtime, atime)
		}
	})
}

func FuzzServeCopy(f *testing.F) {
	f.Add("/one/etc", "T1 0 1 0\nC0640 3 x\nabc\x00", true, true)
	f.Add("/one/etc", "\x00\x00\x00\x00\x00", false, true)
	f.Add("/one/etc/hosts", "\x00\x01x\n", false, false)
	f.Fuzz(func(t *testing.T, path, client string, brings, recursive bool) {
		a := &asked{answer: syscall.EACCES}
		said, _, _ := copied(t, options(t, a, io.Discard), Copy{Path: path, Brings: brings, Recursive: recursive, Times: recursive}, client)
		if strings.Contains(said, "secret") {
			t.Errorf("%q: %q", path, said)
		}
		for change := range strings.SplitSeq(a.all(), "; ") {
			if change != "" && !strings.HasPrefix(change, "one write /etc/") && !strings.HasPrefix(change, "one chmod /etc/") {
				t.Errorf("%q, client %q: asked about %q", path, client, change)
			}
		}
	})
}

// A client that has nothing more to say while a human is asked reads no answer either: what it asked for is given up.
func TestClientThatLeavesWhileAHumanIsAskedIsNoticed(t *testing.T) {
	t.Run("scp", func(t *testing.T) {
		o := options(t, &asked{}, io.Discard)
		o.Ask = func(ctx context.Context, _ Change) error {
			<-ctx.Done()
			return ctx.Err()
		}
		in := strings.NewReader("C0644 1 new\nx\x00") // and nothing more
		ok, _ := ServeCopy(t.Context(), struct {
			io.Reader
			io.Writer
		}{in, io.Discard}, o, Copy{Brings: true, Path: "/one/etc/new"})
		if ok {
			t.Error("it was told to be made")
		}
	})
	t.Run("sftp", func(t *testing.T) {
		o := options(t, &asked{}, io.Discard)
		fromClient, toServer := io.Pipe()
		fromServer, toClient := io.Pipe()
		o.Ask = func(ctx context.Context, _ Change) error {
			_ = toServer.Close()
			<-ctx.Done()
			return ctx.Err()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = Serve(t.Context(), struct {
				io.Reader
				io.WriteCloser
			}{fromClient, toClient}, o)
		}()
		c, err := sftp.NewClientPipe(fromServer, toServer)
		if err != nil {
			t.Fatal(err)
		}
		f, err := c.Create("/one/etc/new")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		<-done
		_ = toClient.Close()
		_ = c.Close()
	})
}
