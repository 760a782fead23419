package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
)

func newSigner(tb testing.TB) ssh.Signer {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// book is a log in a temporary directory, with a clock of its own.
type book struct {
	tb     testing.TB
	dir    string
	signer ssh.Signer
	o      Options
	*Log

	mu    sync.Mutex
	clock time.Time
}

func newBook(tb testing.TB, change func(*Options)) *book {
	tb.Helper()
	b := &book{tb: tb, dir: filepath.Join(tb.TempDir(), "audit"), signer: newSigner(tb), clock: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	b.o = Options{Dir: b.dir, Signer: b.signer, Now: b.now, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&b.o)
	}
	b.open()
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *book) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

func (b *book) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

func (b *book) open() {
	b.tb.Helper()
	l, err := Open(b.o)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.Log = l
}

func (b *book) reopen() {
	b.tb.Helper()
	if err := b.Close(); err != nil {
		b.tb.Fatal(err)
	}
	b.open()
}

// add appends events whose names are the numbers of from to to.
func (b *book) add(from, to int) {
	b.tb.Helper()
	for i := from; i <= to; i++ {
		if err := b.Append(Event{Event: Session, Name: fmt.Sprintf("event %d", i)}); err != nil {
			b.tb.Fatal(err)
		}
	}
}

func (b *book) verify() *Verification {
	b.tb.Helper()
	v, err := Verify(b.dir, Check{Keys: []string{ssh.FingerprintSHA256(b.signer.PublicKey())}})
	if err != nil {
		b.tb.Fatal(err)
	}
	return v
}

func (b *book) clean() *Verification {
	b.tb.Helper()
	v := b.verify()
	if len(v.Findings) > 0 || v.Unsigned > 0 || v.Cut > 0 {
		b.tb.Errorf("%+v", v)
	}
	return v
}

func (b *book) files() []string {
	b.tb.Helper()
	names, err := segments(b.dir)
	if err != nil {
		b.tb.Fatal(err)
	}
	return names
}

// lines returns all lines of all files.
func (b *book) lines() (out []line) {
	b.tb.Helper()
	for _, name := range b.files() {
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			b.tb.Fatal(err)
		}
		for _, t := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
			var l line
			if err := json.Unmarshal(t, &l); err != nil {
				b.tb.Fatalf("%q: %v", t, err)
			}
			out = append(out, l)
		}
	}
	return out
}

func (b *book) kinds() string {
	var kinds []string
	for _, l := range b.lines() {
		kinds = append(kinds, l.Event.Event)
	}
	return strings.Join(kinds, " ")
}

func TestLinesAreChainedAndSigned(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 5)
	if v := b.clean(); v.Lines != 6 || v.Seq != 6 || v.Files != 1 || v.SignedBy != ssh.FingerprintSHA256(b.signer.PublicKey()) {
		t.Errorf("%+v", v)
	}
	b.reopen()
	b.add(6, 7)
	if v := b.clean(); v.Seq != 8 {
		t.Errorf("after reopening: %+v", v)
	}
	for i, l := range b.lines() {
		if l.Seq != uint64(i)+1 || l.At != "2026-11-25T12:00:00Z" {
			t.Errorf("line %d: %+v", i+1, l)
		}
	}
	info, err := os.Stat(filepath.Join(b.dir, b.files()[0]))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestANewFileBeginsEveryDayAndOldOnesGo(t *testing.T) {
	b := newBook(t, func(o *Options) { o.MaxFiles = 3 })
	for day := range 6 {
		b.add(day, day)
		b.clean()
		b.pass(24 * time.Hour)
	}
	files := b.files()
	want := []string{"audit-2026-11-28-00000004.jsonl", "audit-2026-11-29-00000005.jsonl", "audit-2026-11-30-00000006.jsonl"}
	if !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	b.reopen()
	b.clean()
	// A clock that goes back makes no second file of a name.
	b.pass(-48 * time.Hour)
	b.add(7, 7)
	b.clean()
	if last := b.files()[2]; last != "audit-2026-11-29-00000007.jsonl" {
		t.Errorf("the last file is %s", last)
	}
}

func TestRotations(t *testing.T) {
	for rotation, want := range map[string]int{Daily: 2, AtStart: 2, Never: 1} {
		b := newBook(t, func(o *Options) { o.Rotation = rotation })
		b.add(1, 1)
		if rotation != AtStart {
			b.pass(24 * time.Hour)
		}
		b.reopen()
		b.add(2, 2)
		b.clean()
		if got := len(b.files()); got != want {
			t.Errorf("%s: %d files, want %d", rotation, got, want)
		}
	}
}

func TestFilesThatAreTooManyGoAtEachStartToo(t *testing.T) {
	b := newBook(t, func(o *Options) { o.Rotation, o.MaxFiles = AtStart, 2 })
	for i := range 5 {
		b.add(i, i)
		b.reopen()
		b.clean()
	}
	if got := b.files(); len(got) != 2 {
		t.Errorf("files: %q", got)
	}
}

func TestOneProcessWritesTheLog(t *testing.T) {
	b := newBook(t, nil)
	if _, err := Open(b.o); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("%v", err)
	}
}

func TestLinesAreBounded(t *testing.T) {
	b := newBook(t, nil)
	for _, text := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\x01", 1<<20), strings.Repeat("€", 1<<18), strings.Repeat("\xff", 1<<18)} {
		e := Event{Event: Operation, Name: text, Summary: text, Why: text, Reason: text, Path: text, Dir: text, Env: slices.Repeat([]string{text}, 3), Files: slices.Repeat([]string{"x"}, 10_000)}
		if err := b.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range b.files() {
		text, _ := os.ReadFile(filepath.Join(b.dir, name))
		for l := range bytes.Lines(text) {
			if len(l) > maxLine {
				t.Errorf("a line of %d bytes", len(l))
			}
		}
	}
	if l := b.lines()[1]; !strings.HasSuffix(l.Summary, " bytes in all)") {
		t.Errorf("the cut is not marked: %q", l.Summary[len(l.Summary)-40:])
	}
	b.clean()
}

// Everything that can be done to the files of a log without its key.
func TestEveryChangeOfTheLogIsNamed(t *testing.T) {
	const day1, day2, day3 = "audit-2026-11-25-00000001.jsonl", "audit-2026-11-26-00000002.jsonl", "audit-2026-11-27-00000003.jsonl"
	// Each file has a first line of its own and four events: lines 1 to 5, 6 to 10, 11 to 15.
	rewrite := func(name string, change func(lines []string) []string) func(*book) error {
		return func(b *book) error {
			path := filepath.Join(b.dir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			lines := strings.SplitAfter(string(text), "\n")
			return os.WriteFile(path, []byte(strings.Join(change(lines[:len(lines)-1]), "")), 0o600)
		}
	}
	edit := func(name string, n int, from, to string) func(*book) error {
		return rewrite(name, func(l []string) []string {
			if !strings.Contains(l[n-1], from) {
				t.Fatalf("no %q in %q", from, l[n-1])
			}
			l[n-1] = strings.Replace(l[n-1], from, to, 1)
			return l
		})
	}
	drop := func(name string, from, to int) func(*book) error {
		return rewrite(name, func(l []string) []string { return slices.Delete(l, from-1, to) })
	}
	lose := func(name string) func(*book) error {
		return func(b *book) error { return os.Remove(filepath.Join(b.dir, name)) }
	}
	headed := func(change func(b *book, text []byte) []byte) func(*book) error {
		return func(b *book) error {
			path := filepath.Join(b.dir, headFile)
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, change(b, text), 0o600)
		}
	}
	for what, c := range map[string]struct {
		attack func(*book) error
		want   string // of the first finding
	}{
		"an edited line":             {edit(day2, 3, "event 6", "event X"), day2 + " line 3: line 8 was changed"},
		"an edited first line":       {edit(day1, 1, "segment", "segmenT"), day1 + " line 1: it does not begin a file"},
		"an edited line of a file":   {edit(day1, 5, "event 4", "event X"), day1 + " line 5: line 5 was changed"},
		"an edited last line":        {edit(day3, 5, "event 12", "event X"), "line 15 is not the one that was signed"},
		"an edited line before it":   {edit(day3, 4, "event 11", "event X"), day3 + " line 4: line 14 was changed"},
		"a changed link":             {edit(day2, 3, `"prev":"`, `"prev":"0`), day2 + " line 3: line 8 was changed"},
		"a changed time":             {edit(day2, 3, "T12:", "T11:"), day2 + " line 3: line 8 was changed"},
		"a blank":                    {edit(day2, 3, `,"prev"`, `, "prev"`), day2 + " line 3: line 8 was changed"},
		"a number":                   {edit(day2, 3, `"seq":8`, `"seq":80`), day2 + " line 3: before it, lines 8 to 79 are missing"},
		"nonsense":                   {edit(day2, 3, `{`, ``), day2 + " line 3: it is no line of an audit log"},
		"an empty line":              {rewrite(day2, func(l []string) []string { return slices.Insert(l, 2, "\n") }), day2 + " line 3: it is no line"},
		"a removed line":             {drop(day2, 3, 3), day2 + " line 3: before it, lines 8 to 8 are missing"},
		"removed lines":              {drop(day2, 2, 4), day2 + " line 2: before it, lines 7 to 9 are missing"},
		"a removed first line":       {drop(day2, 1, 1), day2 + " line 1: before it, lines 6 to 6 are missing"},
		"the log's first line":       {drop(day1, 1, 1), day1 + " line 1: it does not begin a file"},
		"a removed end":              {drop(day3, 5, 5), "the log ends at line 14, and its signed head says 15"},
		"a removed end of a file":    {drop(day2, 5, 5), day3 + " line 1: before it, lines 10 to 10 are missing"},
		"a cut end":                  {func(b *book) error { return os.Truncate(filepath.Join(b.dir, day3), 700) }, "the log ends at line"},
		"a cut file":                 {func(b *book) error { return os.Truncate(filepath.Join(b.dir, day2), 700) }, day2 + " line"},
		"two lines in another order": {rewrite(day2, func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }), day2 + " line 3: before it, lines 8 to 8 are missing"},
		"a line twice":               {rewrite(day2, func(l []string) []string { return slices.Insert(l, 3, l[2]) }), day2 + " line 4: line 8 stands after line 8"},
		"a line of its own": {rewrite(day2, func(l []string) []string {
			return slices.Insert(l, 3, `{"seq":9,"at":"x","prev":"x","event":"session"}`+"\n")
		}), day2 + " line"},
		"a missing file":  {lose(day2), day3 + ": the file before it, number 2, is missing"},
		"the oldest file": {lose(day1), day1 + ": the oldest file, it says, is missing"},
		"the newest file": {lose(day3), "the log ends at line 10, and its signed head says 15"},
		"no head":         {lose(headFile), headFile + ": there is no signed head"},
		"an empty head":   {headed(func(*book, []byte) []byte { return nil }), headFile + ": it is damaged"},
		"half a head":     {headed(func(_ *book, text []byte) []byte { return text[:slotSize+100] }), headFile + ": it is damaged"},
		"one place of the head": {headed(func(_ *book, text []byte) []byte {
			return bytes.Replace(text, []byte(`"seq":15`), []byte(`"seq":14`), 1)
		}), headFile + ": it is damaged"},
		"a head of another's signing": {headed(forge), headFile + ": it is signed with SHA256:"},
		"everything":                  {func(b *book) error { return errors.Join(lose(day1)(b), lose(day2)(b), lose(day3)(b)) }, day1 + ": the oldest file, it says, is missing"},
	} {
		b := newBook(t, nil)
		for day := range 3 {
			b.add(day*4+1, day*4+4)
			b.pass(24 * time.Hour)
		}
		b.clean()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.attack(b); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		v := b.verify()
		if len(v.Findings) == 0 || !strings.HasPrefix(v.Findings[0], c.want) {
			t.Errorf("%s: found %q, want first %q", what, v.Findings, c.want)
		}
	}
}

// forge signs the head of a shorter log with a key of its own.
func forge(b *book, text []byte) []byte {
	var h head
	if err := json.Unmarshal(text[:slotSize], &h); err != nil {
		b.tb.Fatal(err)
	}
	out, err := h.sign(newSigner(b.tb))
	if err != nil {
		b.tb.Fatal(err)
	}
	return out
}

func TestLineThatACrashCutIsRecordedAndTheChainGoesOn(t *testing.T) {
	for _, rest := range []string{`{"seq":5,"at":"2026-`, "x", strings.Repeat("y", 3*maxLine), "\x00\x00\x00"} {
		b := newBook(t, nil)
		b.add(1, 3)
		_ = b.Close()
		name := b.files()[0]
		f, err := os.OpenFile(filepath.Join(b.dir, name), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(rest)
		_ = f.Close()
		if v := b.verify(); len(v.Findings) != 0 || v.Cut != int64(len(rest)) {
			t.Errorf("before the start: %+v", v)
		}
		b.open()
		b.add(4, 4)
		b.clean()
		if got := b.kinds(); got != "segment session session session recovered session" {
			t.Errorf("lines: %s", got)
		}
		if l := b.lines()[4]; l.Count != uint64(len(rest)) || l.Files[0] != name {
			t.Errorf("%+v", l)
		}
	}
}

func TestFileThatACrashLeftEmptyIsReplaced(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 2)
	_ = b.Close()
	if err := os.WriteFile(filepath.Join(b.dir, "audit-2026-11-26-00000002.jsonl"), []byte(`{"seq":4,"a`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.add(3, 3)
	if v := b.clean(); v.Files != 1 || v.Seq != 5 {
		t.Errorf("%+v: %s", v, b.kinds())
	}
}

// What was done to the log while no gateway ran stays in it, though the gateway signs it again.
func TestTamperingIsStillNamedAfterTheNextStart(t *testing.T) {
	for what, c := range map[string]struct {
		attack func(b *book) error
		want   string
	}{
		"a removed end": {func(b *book) error {
			path := filepath.Join(b.dir, b.files()[0])
			text, _ := os.ReadFile(path)
			return os.WriteFile(path, text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1], 0o600)
		}, "the log ended at line 3, and its signed head says 4"},
		"no head":          {func(b *book) error { return os.Remove(filepath.Join(b.dir, headFile)) }, "there is no signed head"},
		"no files":         {func(b *book) error { return os.Remove(filepath.Join(b.dir, b.files()[0])) }, "the files of the log are gone"},
		"a forged head":    {func(b *book) error { return headForged(b) }, "signed with another key"},
		"an edited end":    {func(b *book) error { return replaceIn(b, "event 3", "event X") }, "is not the one that was signed"},
		"an edited middle": {func(b *book) error { return replaceIn(b, "event 2", "event X") }, "line 3 was changed"},
	} {
		b := newBook(t, nil)
		b.add(1, 3)
		_ = b.Close()
		if err := c.attack(b); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			b.open()
			b.add(4, 4)
			_ = b.Close()
			if v := b.verify(); !strings.Contains(strings.Join(v.Findings, "\n"), c.want) {
				t.Errorf("%s: %q, want %q", what, v.Findings, c.want)
			}
		}
	}
}

func replaceIn(b *book, from, to string) error {
	path := filepath.Join(b.dir, b.files()[0])
	text, _ := os.ReadFile(path)
	return os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600)
}

func headForged(b *book) error {
	path := filepath.Join(b.dir, headFile)
	text, _ := os.ReadFile(path)
	return os.WriteFile(path, forge(b, text), 0o600)
}

// Lines that were written before a crash and not signed any more are counted, and signed by the next start.
func TestLinesAfterTheHeadAreCounted(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 1)
	old, err := os.ReadFile(filepath.Join(b.dir, headFile))
	if err != nil {
		t.Fatal(err)
	}
	b.add(2, 3)
	_ = b.Close()
	if err := os.WriteFile(filepath.Join(b.dir, headFile), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if v := b.verify(); len(v.Findings) != 0 || v.Unsigned != 2 {
		t.Errorf("%+v", v)
	}
	b.open()
	b.clean()
}

// diskFull fails as a disk does.
type diskFull struct {
	file
	book *faults
}

type faults struct {
	mu                    sync.Mutex
	write, sync, truncate error
	short                 int // bytes that a failing write writes
}

func (f *faults) set(write, sync, truncate error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write, f.sync, f.truncate = write, sync, truncate
}

func (d *diskFull) WriteAt(p []byte, at int64) (int, error) {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	if d.book.write != nil {
		n, _ := d.file.WriteAt(p[:min(len(p), d.book.short)], at)
		return n, d.book.write
	}
	return d.file.WriteAt(p, at)
}

func (d *diskFull) Sync() error {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	if d.book.sync != nil {
		return d.book.sync
	}
	return d.file.Sync()
}

func (d *diskFull) Truncate(size int64) error {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	if d.book.truncate != nil {
		return d.book.truncate
	}
	return d.file.Truncate(size)
}

// failing makes the log's file fail from now on as f says.
func failing(b *book, f *faults) {
	b.Log.mu.Lock()
	defer b.Log.mu.Unlock()
	b.Log.file = &diskFull{b.Log.file, f}
}

func TestNothingOfARefusedEventIsInTheLog(t *testing.T) {
	for what, c := range map[string]struct{ write, sync, truncate error }{
		"no space":                  {write: syscall.ENOSPC},
		"no space, nor a way back":  {write: syscall.ENOSPC, truncate: syscall.EIO},
		"not synced":                {sync: syscall.EIO},
		"not synced, nor taken off": {sync: syscall.EIO, truncate: syscall.EIO},
	} {
		b := newBook(t, nil)
		b.add(1, 2)
		f := &faults{short: 300}
		failing(b, f)
		f.set(c.write, c.sync, c.truncate)
		if err := b.Append(Event{Event: Session, Name: "refused"}, Event{Event: Session, Name: strings.Repeat("refused", 100)}); !errors.Is(err, journal.ErrStore) {
			t.Errorf("%s: %v, want ErrStore", what, err)
		}
		b.Later(Event{Event: Result, Session: "later"})
		if err := b.State(); err == nil {
			t.Errorf("%s: the log says that it can be written", what)
		}
		f.set(nil, nil, nil)
		if err := b.State(); err != nil {
			t.Errorf("%s: afterwards: %v", what, err)
		}
		b.add(3, 3)
		b.clean()
		if got := b.kinds(); got != "segment session session result session" {
			t.Errorf("%s: lines: %s", what, got)
		}
		if text, _ := os.ReadFile(filepath.Join(b.dir, b.files()[0])); bytes.Contains(text, []byte("refused")) {
			t.Errorf("%s: a refused event is in the log", what)
		}
	}
}

func TestFileThatCannotBeginLeavesTheOldOne(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 1)
	b.pass(24 * time.Hour)
	open := b.openFile
	b.openFile = func(string, int, os.FileMode) (file, error) { return nil, syscall.EMFILE }
	if err := b.Append(Event{Event: Session}); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("%v", err)
	}
	f := &faults{sync: syscall.EIO}
	b.openFile = func(name string, flag int, perm os.FileMode) (file, error) {
		real, err := open(name, flag, perm)
		return &diskFull{real, f}, err
	}
	if err := b.Append(Event{Event: Session}); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	b.openFile = open
	b.add(2, 2)
	if v := b.clean(); v.Files != 2 || v.Seq != 4 {
		t.Errorf("%+v", v)
	}
}

func TestEventsThatWaitAreWrittenInOrderAndBounded(t *testing.T) {
	b := newBook(t, nil)
	b.add(0, 0)
	f := &faults{}
	failing(b, f)
	f.set(syscall.ENOSPC, nil, nil)
	for i := range maxPending + 7 {
		b.Later(Event{Event: Result, Operation: i + 1})
	}
	f.set(nil, nil, nil)
	b.add(1, 1)
	lines := b.lines()
	lines = lines[1:]
	if len(lines) != maxPending+3 {
		t.Fatalf("%d lines", len(lines))
	}
	if lost := lines[len(lines)-2]; lost.Event.Event != Lost || lost.Count != 7 {
		t.Errorf("%+v", lost)
	}
	if lines[1].Operation != 1 || lines[maxPending].Operation != maxPending || lines[len(lines)-1].Name != "event 1" {
		t.Error("not in order")
	}
	b.clean()
}

func TestManyWriteAtOnce(t *testing.T) {
	b := newBook(t, nil)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 20 {
				b.Later(Event{Event: Authentication})
				if err := b.Append(Event{Event: Session, Name: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if v := b.clean(); v.Lines != 1+2*16*20 {
		t.Errorf("%+v", v)
	}
}

func TestFailedAuthenticationsAreBounded(t *testing.T) {
	b := newBook(t, nil)
	for range 1000 {
		b.Refused("SHA256:x", "192.0.2.1", "unknown key")
	}
	b.pass(time.Second)
	b.Refused("SHA256:x", "192.0.2.1", "unknown key")
	b.Authenticated("claude", "agent", "SHA256:c", "192.0.2.2")
	b.add(1, 1)
	lines := b.lines()
	if n := len(lines); n != 1+burst+1+1+1 {
		t.Fatalf("%d lines", n)
	}
	if l := lines[burst+1]; l.Count != 1000-burst || *l.OK {
		t.Errorf("%+v", l)
	}
	if l := lines[burst+2]; l.Identity != "claude" || !*l.OK {
		t.Errorf("%+v", l)
	}
}

func TestKindsThatAreNotWantedAreLeftOut(t *testing.T) {
	b := newBook(t, func(o *Options) { o.Skip = map[string]bool{Authentication: true} })
	b.Authenticated("claude", "agent", "", "")
	b.add(1, 1)
	if got := b.kinds(); got != "segment session" {
		t.Errorf("%s", got)
	}
}

func TestClosedLogRefuses(t *testing.T) {
	b := newBook(t, nil)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Append(Event{Event: Session}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("%v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// FuzzLog checks that no file of a log makes a start or a verification fail to come to an end, and that what a start
// makes of it goes on as a chain.
func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"seq":1,"at":"x","prev":"`+genesis+`","event":"segment"}`+"\n"), []byte("{}"))
	f.Add([]byte("\n\n{\n"), bytes.Repeat([]byte(" "), slotSize))
	f.Add([]byte(`{"seq":18446744073709551615,"event":"x"}`+"\n"), []byte(nil))
	signer := newSigner(f)
	f.Fuzz(func(t *testing.T, text, head []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "audit-2026-11-25-00000001.jsonl"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, headFile), head, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(dir, Check{}); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Options{Dir: dir, Signer: signer, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(Event{Event: Session}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		v, err := Verify(dir, Check{Keys: []string{ssh.FingerprintSHA256(signer.PublicKey())}})
		if err != nil || len(v.Findings) == 0 || v.Unsigned > 0 {
			t.Fatalf("%+v, %v", v, err)
		}
	})
}
