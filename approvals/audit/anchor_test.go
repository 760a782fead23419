package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
)

func fingerprint(s ssh.Signer) string { return ssh.FingerprintSHA256(s.PublicKey()) }

// checked verifies with keys, and with the anchor that the journal would have.
func (b *book) checked(anchor *journal.Anchor, keys ...ssh.Signer) *Verification {
	b.tb.Helper()
	check := Check{Anchor: anchor}
	for _, k := range keys {
		check.Keys = append(check.Keys, fingerprint(k))
	}
	v, err := Verify(b.dir, check)
	if err != nil {
		b.tb.Fatal(err)
	}
	return v
}

func finds(t *testing.T, v *Verification, want string) {
	t.Helper()
	if !strings.Contains(strings.Join(v.Findings, "\n"), want) {
		t.Errorf("found %q, want %q", v.Findings, want)
	}
}

// What somebody does to the whole directory is consistent in itself, head and all. The journal knows better; so does the log
// itself after the next start.
func TestLogThatIsTakenAwayOrPutBackIsMissedByTheJournal(t *testing.T) {
	for what, c := range map[string]struct {
		attack func(b *book, old string) error
		want   string
	}{
		"the whole directory removed": {func(b *book, _ string) error { return os.RemoveAll(b.dir) }, "the log is gone: the journal knows it up to line 7"},
		"an older copy put back": {func(b *book, old string) error {
			return errors.Join(os.RemoveAll(b.dir), os.CopyFS(b.dir, os.DirFS(old)))
		}, "the log ends at line 4, and the journal knows it up to line 7"},
		"emptied": {func(b *book, _ string) error {
			return errors.Join(os.RemoveAll(b.dir), os.Mkdir(b.dir, 0o700))
		}, "the log is gone"},
		"another log of the same key": {func(b *book, _ string) error {
			o := b.o
			o.Dir = filepath.Join(b.tb.TempDir(), "other")
			l, err := Open(o)
			if err != nil {
				return err
			}
			for i := range 20 {
				if err := l.Append(Event{Event: Session, Name: fmt.Sprint("false ", i)}); err != nil {
					return err
				}
			}
			return errors.Join(l.Close(), os.RemoveAll(b.dir), os.Rename(o.Dir, b.dir))
		}, "line 7 is not the one that the journal knows"},
	} {
		b := newBook(t, nil)
		b.add(1, 3)
		old := filepath.Join(t.TempDir(), "old")
		if err := os.CopyFS(old, os.DirFS(b.dir)); err != nil {
			t.Fatal(err)
		}
		b.add(4, 6)
		end := b.End()
		_ = b.Close()
		if v := b.checked(&end, b.signer); len(v.Findings) > 0 {
			t.Errorf("%s: before: %q", what, v.Findings)
		}
		if err := c.attack(b, old); err != nil {
			t.Fatal(err)
		}
		finds(t, b.checked(&end, b.signer), c.want)
		b.o.Anchor = &end
		b.open()
		b.add(7, 7)
		end = b.End()
		if end.Seq <= 7 && !strings.Contains(what, "older") {
			t.Errorf("%s: the log goes on with line %d", what, end.Seq)
		}
		_ = b.Close()
		finds(t, b.checked(&end, b.signer), c.want)
	}
}

// A log may go further than the journal knows, after a crash; it may have lost the line by max_files.
func TestJournalThatLagsBehindIsNoFinding(t *testing.T) {
	b := newBook(t, func(o *Options) { o.MaxFiles = 1 })
	b.add(1, 3)
	end := b.End()
	b.add(4, 6)
	b.o.Anchor = &end
	b.reopen()
	if v := b.checked(&end, b.signer); len(v.Findings) > 0 {
		t.Errorf("%q", v.Findings)
	}
	b.pass(48 * time.Hour)
	b.add(7, 7) // the file with the line goes
	if v := b.checked(&end, b.signer); len(v.Findings) > 0 {
		t.Errorf("%q", v.Findings)
	}
	b.reopen()
	b.clean()
	if strings.Contains(b.kinds(), Broken) {
		t.Error(b.kinds())
	}
}

// The line that the journal knows is looked for in older files, too.
func TestLineOfTheJournalMayBeInAnOlderFile(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 3)
	end := b.End()
	for range 3 {
		b.pass(24 * time.Hour)
		b.add(4, 6)
	}
	b.o.Anchor = &end
	b.reopen()
	b.clean()
	forged := end
	forged.Hash = hashOf(nil)
	b.o.Anchor = &forged
	b.reopen()
	finds(t, b.checked(nil, b.signer), "line 4 is not the one that the journal knows")
}

// A gateway that runs notices that its files are taken away, and goes on in new ones that say so.
func TestFilesThatAreTakenAwayFromARunningGatewayAreMissed(t *testing.T) {
	for what, attack := range map[string]func(b *book) error{
		"the directory": func(b *book) error { return os.RemoveAll(b.dir) },
		"the file":      func(b *book) error { return os.Remove(filepath.Join(b.dir, b.files()[0])) },
		"the head":      func(b *book) error { return os.Remove(filepath.Join(b.dir, headFile)) },
		"a copy in the file's place": func(b *book) error {
			name := filepath.Join(b.dir, b.files()[0])
			text, err := os.ReadFile(name)
			return errors.Join(err, os.Remove(name), os.WriteFile(name, text, 0o600))
		},
	} {
		b := newBook(t, nil)
		b.add(1, 3)
		if err := attack(b); err != nil {
			t.Fatal(err)
		}
		b.add(4, 5)
		end := b.End()
		v := b.checked(&end, b.signer)
		finds(t, v, "was removed or replaced while the gateway wrote it")
		if v.Seq != end.Seq || v.Unsigned > 0 {
			t.Errorf("%s: %+v", what, v)
		}
		b.reopen()
		b.add(6, 6)
		finds(t, b.verify(), "was removed or replaced")
	}
}

func TestHostKeysHandOver(t *testing.T) {
	one, two, three := newSigner(t), newSigner(t), newSigner(t)
	b := newBook(t, func(o *Options) { o.Signer = one })
	b.add(1, 2)
	b.o.Signer, b.o.Former = two, []Signer{two, one}
	b.reopen()
	b.add(3, 4)
	b.o.Signer, b.o.Former = three, []Signer{three, two}
	b.reopen()
	b.add(5, 5)
	for _, k := range []ssh.Signer{one, two, three} {
		if v := b.checked(nil, k); len(v.Findings) > 0 || v.SignedBy != fingerprint(three) {
			t.Errorf("%+v", v)
		}
	}
	if v := b.checked(nil, one); len(v.Notes) != 2 {
		t.Errorf("%q", v.Notes)
	}
	finds(t, b.checked(nil, newSigner(t)), "which is no host key of this gateway")
	if strings.Contains(b.kinds(), Broken) {
		t.Error(b.kinds())
	}
}

// Where the former key is lost, that is one finding. What comes after is verified, and an operator may accept it.
func TestHostKeyThatIsLostIsOneFinding(t *testing.T) {
	one, two := newSigner(t), newSigner(t)
	b := newBook(t, func(o *Options) { o.Signer = one })
	b.add(1, 2)
	b.o.Signer, b.o.Former = two, []Signer{two}
	b.reopen()
	b.add(3, 4)
	for _, k := range []ssh.Signer{one, two} {
		v := b.checked(nil, k)
		finds(t, v, "which did not hand over to "+fingerprint(two))
		if len(v.Findings) != 1 {
			t.Errorf("%q", v.Findings)
		}
	}
	if err := b.Accept(b.checked(nil, two).Findings, "root", "the disk with the key broke"); err != nil {
		t.Fatal(err)
	}
	if v := b.checked(nil, two); len(v.Findings) > 0 || len(v.Accepted) != 1 {
		t.Errorf("%+v", v)
	}
	// Whoever trusts the old key alone knows nothing of who accepted it.
	finds(t, b.checked(nil, one), "no key that is trusted has signed it")
	b.add(5, 5)
	if err := replaceIn(b, "event 4", "event X"); err != nil {
		t.Fatal(err)
	}
	finds(t, b.checked(nil, two), "was changed")
}

// An acceptance covers what it names, at the place where it was signed.
func TestAcceptedFindingsCoverNothingElse(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 5)
	_ = b.Close()
	if err := replaceIn(b, "event 2", "event X"); err != nil {
		t.Fatal(err)
	}
	b.open()
	v := b.verify()
	finds(t, v, "line 3 was changed")
	if err := b.Accept(v.Findings, "root", "a test"); err != nil {
		t.Fatal(err)
	}
	b.add(6, 6)
	if v := b.verify(); len(v.Findings) > 0 || len(v.Accepted) != 1 || len(v.Notes) != 1 {
		t.Errorf("%+v", v)
	}
	_ = b.Close()
	text, err := os.ReadFile(filepath.Join(b.dir, b.files()[0]))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ from, to, want string }{
		"a line before it that is changed later": {"event 4", "event Y", "line 5 was changed"},
		"the same line, changed once more":       {"event X", "event Z", "line 3 was changed"},
		"another reason":                         {"a test", "A test", "its signature is false"},
		"another finding that it accepts":        {findingDigest(v.Findings[0]), findingDigest("x"), "its signature is false"},
	} {
		if err := replaceIn(b, c.from, c.to); err != nil {
			t.Fatal(err)
		}
		finds(t, b.verify(), c.want)
		if err := os.WriteFile(filepath.Join(b.dir, b.files()[0]), text, 0o600); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	// Nobody else's signature accepts anything.
	b.open()
	b.Log.o.Signer = newSigner(t)
	if err := b.Accept([]string{"x"}, "eve", "nothing to see"); err != nil {
		t.Fatal(err)
	}
	b.Log.o.Signer = b.signer
	b.add(7, 7)
	finds(t, b.verify(), "no key that is trusted has signed it")
}

func TestRunningGatewayVerifiesItsLog(t *testing.T) {
	b := newBook(t, nil)
	b.add(1, 5)
	check := Check{Keys: []string{fingerprint(b.signer)}}
	if v, at, err := b.Verified(); v != nil || !at.IsZero() || err != nil {
		t.Errorf("%v %v %v", v, at, err)
	}
	b.Log.verify(check)
	if v, at, err := b.Verified(); err != nil || len(v.Findings) > 0 || !at.Equal(b.now()) {
		t.Errorf("%+v %v", v, err)
	}
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	b.Log.verify(check)
	v, _, err := b.Verified()
	if err != nil {
		t.Fatal(err)
	}
	finds(t, v, "the log is gone")
}

// FuzzStatement checks that no line is taken for signed whose text was not.
func FuzzStatement(f *testing.F) {
	signer := newSigner(f)
	e, err := Event{Event: Accepted, Reason: "r", Files: []string{"x"}, signer: signer}.signed(7, genesis)
	if err != nil {
		f.Fatal(err)
	}
	good := line{Seq: 7, Prev: genesis, Event: e}
	f.Add(uint64(7), genesis, "r", "x", e.SignedBy, e.Format, e.Sig)
	f.Add(uint64(7), genesis, "r", "y", "ssh-ed25519 AAAA", "ssh-ed25519", []byte("x"))
	f.Fuzz(func(t *testing.T, seq uint64, prev, reason, file, by, format string, sig []byte) {
		l := line{Seq: seq, Prev: prev, Event: Event{Event: Accepted, Reason: reason, Files: []string{file}, SignedBy: by, Format: format, Sig: sig}}
		who, err := l.signedBy()
		same := seq == good.Seq && prev == good.Prev && reason == e.Reason && slices.Equal(l.Files, e.Files)
		if err == nil && who == fingerprint(signer) && !same {
			t.Fatalf("%+v is taken for signed", l)
		}
	})
}
