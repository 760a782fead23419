package relay

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// waiting has changes wait until they are let go, and counts places that are taken.
func waiting(t *testing.T) (o Options, asking chan string, letGo func(), places *atomic.Int32) {
	t.Helper()
	decided := make(chan struct{})
	asking, places = make(chan string, 2*maxQueue), &atomic.Int32{}
	o = options(t, &asked{}, io.Discard)
	o.Ask = func(ctx context.Context, c Change) error {
		asking <- c.Summary
		select {
		case <-decided:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	o.Upload = func() (func(), bool) {
		places.Add(1)
		return func() { places.Add(-1) }, true
	}
	return o, asking, sync.OnceFunc(func() { close(decided) }), places
}

// A client that has more changes wait than there is a place for gets the rest refused, and keeps no place by that.
func TestAnUploadThatIsClosedAmongTooManyChangesGivesItsPlaceBack(t *testing.T) {
	o, asking, letGo, places := waiting(t)
	c := raw(t, o)
	h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
	mkdir := func() {
		c.send(sftpwire.TypeMkdir, func(e *sftpwire.Encoder) {
			e.String("/one/etc/dir")
			e.Attributes(sftpwire.Attributes{})
		})
	}
	mkdir()
	<-asking
	for range maxQueue {
		mkdir()
	}
	if code, text := c.close(h); code != sftpwire.StatusFailure || !strings.Contains(text, "too many") {
		t.Errorf("%d %s", code, text)
	}
	if got := places.Load(); got != 1 { // of the change that waits
		t.Errorf("%d places are taken", got)
	}
	if kind, _ := c.ask(sftpwire.TypeStat, func(e *sftpwire.Encoder) { e.String("/one/etc/new") }); kind != sftpwire.TypeStatus {
		t.Errorf("a dropped upload is there: type %d", kind)
	}
	letGo()
	for range maxQueue + 1 {
		c.read()
	}
	if got := places.Load(); got != 0 {
		t.Errorf("%d places are taken", got)
	}
}

// Nobody is asked about what a client left behind.
func TestChangesOfAClientThatIsGoneAreNotAskedAbout(t *testing.T) {
	o, asking, _, places := waiting(t)
	t.Run("client", func(t *testing.T) { // whose end waits for the server's
		c := raw(t, o)
		for i := range 9 {
			c.send(sftpwire.TypeMkdir, func(e *sftpwire.Encoder) {
				e.String(fmt.Sprintf("/one/etc/dir%d", i))
				e.Attributes(sftpwire.Attributes{})
			})
		}
		h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
		c.send(sftpwire.TypeClose, func(e *sftpwire.Encoder) { e.String(h) })
		<-asking
	})
	if len(asking) != 0 {
		t.Errorf("asked about %q afterwards", <-asking)
	}
	if got := places.Load(); got != 0 {
		t.Errorf("%d places are taken", got)
	}
}

// What a client has closed is what a human is asked about, though it has to wait for its turn.
func TestAnUploadChangesNoMoreOnceItIsClosed(t *testing.T) {
	o, asking, letGo, _ := waiting(t)
	c := raw(t, o)
	h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
	c.put(h, 0, "text")
	c.send(sftpwire.TypeMkdir, func(e *sftpwire.Encoder) {
		e.String("/one/etc/dir")
		e.Attributes(sftpwire.Attributes{})
	})
	<-asking
	c.send(sftpwire.TypeClose, func(e *sftpwire.Encoder) { e.String(h) })
	for _, a := range []sftpwire.Attributes{{Flags: sftpwire.AttrSize, Size: 1}, {Flags: sftpwire.AttrPermissions, Mode: 0o4755}} {
		if code, text := c.status(sftpwire.TypeSetstat, func(e *sftpwire.Encoder) { e.String("/one/etc/new"); e.Attributes(a) }); code != sftpwire.StatusFailure {
			t.Errorf("%+v: %d %s", a, code, text)
		}
	}
	letGo()
	c.read()
	c.read()
}

// Opening a file to change it shows what it holds, to this handle and to those of the same name.
func TestReadsOfAFileThatIsChangedAreToldOf(t *testing.T) {
	var told []string
	o := options(t, &asked{}, io.Discard)
	var full error
	o.Opened = func(_ context.Context, target, asked, path string, refused error) error {
		told = append(told, fmt.Sprintf("%s %s %s %v", target, asked, path, refused))
		return full
	}
	c := raw(t, o)
	for _, flags := range []uint32{openRead | openWrite, openWrite, openWrite | openAppend | openCreate} {
		h, _, _ := c.open("/one/etc/hosts", flags)
		if want := "one /etc/hosts /etc/hosts <nil>"; len(told) != 1 || told[0] != want {
			t.Errorf("%x: told %q", flags, told)
		}
		told = nil
		c.close(h)
	}
	for _, flags := range []uint32{openRead | openWrite | openTrunc, openWrite | openTrunc} {
		h, _, _ := c.open("/one/etc/hosts", flags)
		c.close(h)
	}
	h, _, _ := c.open("/one/etc/new", openRead|openWrite|openCreate)
	c.close(h)
	if len(told) != 0 {
		t.Errorf("told %q, of which nothing is shown", told)
	}
	full = syscall.ENOSPC
	if _, code, _ := c.open("/one/etc/hosts", openRead|openWrite); code == sftpwire.StatusOK {
		t.Error("a file was opened that could not be recorded")
	}
}

// Clients ask for the entries of a directory ahead: its end comes last.
func TestAListingThatIsAskedForAheadIsWhole(t *testing.T) {
	for range 20 {
		out := &sent{}
		s := newServer(newRelay(t.Context(), options(t, &asked{}, io.Discard)), out)
		l := &listing{done: func() {}}
		for i := range 3*maxEntries + 1 {
			l.names = append(l.names, vfs.Dirent{Name: fmt.Sprint(i)})
		}
		s.handles.opened["1"] = &handle{listing: l}
		for id := range uint32(6) {
			var e sftpwire.Encoder
			e.String("1")
			if err := takeReaddir(s, request{id, sftpwire.NewDecoder(e)}); err != nil {
				t.Fatal(err)
			}
		}
		s.work.Wait()
		var names, kinds []string
		for from := strings.NewReader(out.String()); from.Len() > 0; {
			kind, body, err := sftpwire.ReadPacket(from)
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, fmt.Sprint(kind))
			d := sftpwire.NewDecoder(body)
			d.Uint32()
			for n := d.Uint32(); kind == sftpwire.TypeName && n > 0; n-- {
				names = append(names, d.String())
				_ = d.String()
				d.Attributes()
			}
		}
		if got := strings.Join(kinds, " "); got != "104 104 104 104 101 101" {
			t.Fatalf("answers of types %s", got)
		}
		for i, name := range names {
			if name != fmt.Sprint(i) {
				t.Fatalf("entry %d is %s", i, name)
			}
		}
	}
}

// A name is kept while a human decides, and a human reads it.
func TestNamesThatAreTooLongAreRefused(t *testing.T) {
	a := &asked{}
	c := raw(t, options(t, a, io.Discard))
	long := "/one/etc/" + strings.Repeat("./", 100_000) + "new"
	for _, kind := range []byte{
		sftpwire.TypeOpen, sftpwire.TypeMkdir, sftpwire.TypeRemove, sftpwire.TypeRmdir, sftpwire.TypeStat, sftpwire.TypeLstat, sftpwire.TypeOpendir,
		sftpwire.TypeRealpath, sftpwire.TypeReadlink, sftpwire.TypeSetstat, sftpwire.TypeRename, sftpwire.TypeSymlink,
	} {
		code, text := c.status(kind, func(e *sftpwire.Encoder) {
			e.String(long)
			switch kind {
			case sftpwire.TypeOpen:
				e.Uint32(openWrite | openCreate)
			case sftpwire.TypeRename, sftpwire.TypeSymlink:
				e.String("/one/etc/x")
			}
			e.Attributes(sftpwire.Attributes{})
		})
		if code != sftpwire.StatusFailure || !strings.Contains(text, "too long") {
			t.Errorf("type %d: %d %s", kind, code, text)
		}
	}
	if got := a.all(); got != "" {
		t.Errorf("asked about %q", got)
	}
}

// One line tells of an upload that is too large, whatever its client goes on to write.
func TestAnUploadThatIsTooLargeIsToldOfOnce(t *testing.T) {
	var notices strings.Builder
	a := &asked{}
	c := raw(t, options(t, a, &notices))
	h, _, _ := c.open("/one/etc/new", openWrite|openCreate)
	for range 5 {
		if code := c.put(h, 1<<20, "x"); code != sftpwire.StatusFailure {
			t.Errorf("status %d", code)
		}
	}
	if code := c.put(h, 0, "x"); code != sftpwire.StatusFailure {
		t.Errorf("after what was too large: status %d", code)
	}
	c.close(h)
	if got := strings.Count(notices.String(), "is larger than"); got != 1 || a.all() != "" {
		t.Errorf("told %d times, asked about %q", got, a.all())
	}
}

// What panics is one client's trouble: its answer is a failure, and its connection goes on.
func TestPanicsEndNoServer(t *testing.T) {
	out := &sent{}
	s := newServer(newRelay(t.Context(), options(t, &asked{}, io.Discard)), out)
	for id, take := range []func(*server, request) error{
		func(*server, request) error { panic("a test") },
		func(s *server, r request) error {
			_, err := s.look(nil, func() sftpwire.Encoder { return s.guarded(r.id, func() (sftpwire.Encoder, error) { panic("a test") }) })
			return err
		},
		func(s *server, r request) error { // a handle of nothing
			s.handles.opened["1"] = &handle{}
			return takeClose(s, r)
		},
	} {
		var e sftpwire.Encoder
		e.String("1")
		if err := s.taken(take, request{uint32(id), sftpwire.NewDecoder(e)}); err != nil { // #nosec G115 -- small
			t.Error(err)
		}
		s.work.Wait()
	}
	if got := fmt.Sprint(out.ids(t)); got != "[0 1 2]" {
		t.Errorf("answered %s", got)
	}
}

// A name that is hidden and there is answered as one that is hidden and is not.
func TestHiddenNamesAreAnsweredAsThoseThatAreNot(t *testing.T) {
	o := options(t, &asked{}, io.Discard)
	policy, err := vfs.NewPolicy([]string{"/etc"}, []string{"/etc/shadow", "/etc/gshadow"})
	if err != nil {
		t.Fatal(err)
	}
	o.Policy = func(string) *vfs.Policy { return policy }
	o.Changeable = func(_ targets.Target, name string) error {
		if policy.Decide(name) != vfs.Visible {
			return fmt.Errorf("%w: it is not shown", syscall.EACCES)
		}
		return nil
	}
	c := raw(t, o)
	answers := func(name string) string {
		var out []string
		for kind := byte(sftpwire.TypeOpen); kind <= sftpwire.TypeSymlink; kind++ {
			for variant := range uint32(64) {
				if kind != sftpwire.TypeOpen && variant > 1 {
					break
				}
				var build func(e *sftpwire.Encoder)
				switch kind {
				case sftpwire.TypeOpen:
					build = func(e *sftpwire.Encoder) { e.String(name); e.Uint32(variant); e.Attributes(sftpwire.Attributes{}) }
				case sftpwire.TypeRename, sftpwire.TypeSymlink:
					build = func(e *sftpwire.Encoder) {
						if variant == 0 {
							e.String("/one/etc/hosts")
							e.String(name)
						} else {
							e.String(name)
							e.String("/one/etc/free")
						}
					}
					if kind == sftpwire.TypeSymlink && variant == 1 {
						continue // its text
					}
				case sftpwire.TypeLstat, sftpwire.TypeStat, sftpwire.TypeSetstat, sftpwire.TypeOpendir, sftpwire.TypeRemove, sftpwire.TypeMkdir,
					sftpwire.TypeRmdir, sftpwire.TypeReadlink:
					build = func(e *sftpwire.Encoder) {
						e.String(name)
						e.Attributes(sftpwire.Attributes{Flags: sftpwire.AttrSize, Size: uint64(variant)})
					}
				default:
					continue
				}
				code, text := c.status(kind, build)
				out = append(out, strings.ReplaceAll(fmt.Sprintf("%d/%d: %d %s", kind, variant, code, text), name, "NAME"))
			}
		}
		for _, extension := range []string{"statvfs@openssh.com", "posix-rename@openssh.com"} {
			code, text := c.status(sftpwire.TypeExtended, func(e *sftpwire.Encoder) {
				e.String(extension)
				if extension != "statvfs@openssh.com" {
					e.String("/one/etc/hosts")
				}
				e.String(name)
			})
			out = append(out, strings.ReplaceAll(fmt.Sprintf("%s: %d %s", extension, code, text), name, "NAME"))
		}
		return strings.Join(out, "\n")
	}
	for there, not := range map[string]string{"/one/etc/shadow": "/one/etc/gshadow", "/one/root/key": "/one/root/none", "/one/root": "/one/rook"} {
		a, b := strings.Split(answers(there), "\n"), strings.Split(answers(not), "\n")
		for i := range a {
			if a[i] != b[i] {
				t.Errorf("%s and %s differ:\n%s\n%s", there, not, a[i], b[i])
			}
		}
	}
}
