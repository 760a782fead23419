package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
)

// maxFindings is how many findings Verify lists before it says only how many there are.
const maxFindings = 100

// Verification is what Verify found.
type Verification struct {
	Files    int
	Lines    uint64
	Seq      uint64 // of the last line
	Unsigned uint64 // whole lines after the signed head: a crash may leave some, the next start signs them
	Cut      int64  // bytes of a last line that is not whole: a crash may leave it, the next start removes and records it
	SignedBy string // SHA256:… of the key of the head
	// Findings say what is broken, in the order of the log: the first is the first broken line.
	Findings []string
	// Accepted are findings that an operator has accepted, in a line that a trusted key signed.
	Accepted []string
	// Notes say what happened to the log that is no finding, such as a signed hand-over to another host key.
	Notes []string

	more int // findings that are not listed
}

// Check is what a log is verified with.
type Check struct {
	// Keys are the fingerprints, SHA256:…, of the keys that may sign the log. Keys that one of them handed over to in the
	// log count, too.
	Keys []string
	// Anchor is what the journal knows of the log, read before; nil where there is no journal, as for a copy.
	Anchor *journal.Anchor
	// Lists are the SHA-256, in hex, of the lists of files that scripts have read, by session, as the journal keeps them;
	// nil where there is no journal.
	Lists map[string]string

	pause func() bool // is called now and then; false ends the verification
}

// errStopped ends a verification.
var errStopped = errors.New("it was stopped")

// betweenPauses is how much is read between two calls of pause, in bytes.
const betweenPauses = 1 << 20

// Summary says in one line what was verified and how much was found.
func (v *Verification) Summary() string {
	signer, accepted := v.SignedBy, ""
	if signer == "" {
		signer = "nobody"
	}
	if n := len(v.Accepted); n > 0 {
		accepted = fmt.Sprintf(", %d more accepted", n)
	}
	return fmt.Sprintf("%d files, %d lines, up to line %d, signed by %s: %d findings%s", v.Files, v.Lines, v.Seq, signer, len(v.Findings), accepted)
}

func (v *Verification) found(format string, args ...any) {
	if len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
		return
	}
	v.more++
}

// Verify reads the whole log of a directory. The gateway may be running. An error means that the log could not be read.
func Verify(dir string, check Check) (*Verification, error) {
	v := &Verification{}
	// The head before the lines, since a running gateway adds to both, to the lines first.
	h, key, damaged, err := readHead(filepath.Join(dir, headFile))
	for range 3 { // it may have been read while it was written
		if !damaged {
			break
		}
		h, key, damaged, err = readHead(filepath.Join(dir, headFile))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the audit log's head: %w", err)
	}
	names, err := segments(dir)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && check.Anchor != nil) {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	c := &chain{v: v, head: h, check: check, keys: newRing(check.Keys), lists: map[string]bool{}}
	last := 0
	for i, name := range names {
		n, _ := segmentNumber(name)
		if i > 0 && n != last+1 {
			v.found("%s: the file before it, number %d, is missing", name, n-1)
		}
		last = n
		if err := c.read(filepath.Join(dir, name), name, i == len(names)-1); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
	}
	c.settle()
	for _, session := range slices.Sorted(maps.Keys(c.lists)) {
		if !c.lists[session] {
			v.found("session %s: the list of files that its script has read, %s, is not the one that the log has", session, check.Lists[session])
		}
	}
	c.keys.close()
	c.accept()
	v.Files = len(names)
	v.checkHead(h, key, damaged, names, c)
	if a := check.Anchor; a != nil {
		if reason := differs(*a, v.Seq, c.anchorHash); reason != "" {
			v.found("%s", reason)
		}
	}
	if v.more > 0 {
		v.Findings = append(v.Findings, fmt.Sprintf("and %d more", v.more))
	}
	return v, nil
}

// checkHead compares the log with its signed head.
func (v *Verification) checkHead(h *head, key ssh.PublicKey, damaged bool, names []string, c *chain) {
	if damaged {
		v.found("%s: it is damaged, or its signature is false", headFile)
	}
	if h == nil {
		if len(names) > 0 || damaged {
			v.found("%s: there is no signed head", headFile)
		}
		return
	}
	v.SignedBy = ssh.FingerprintSHA256(key)
	if !c.keys.known(v.SignedBy) {
		v.found("%s: it is signed with %s, which is no host key of this gateway, and none of them handed over to it", headFile, v.SignedBy)
	}
	if !slices.Contains(names, h.First) {
		v.found("%s: the oldest file, it says, is missing", h.First)
	}
	switch {
	case h.Seq > v.Seq:
		v.found("the log ends at line %d, and its signed head says %d: lines were removed from its end", v.Seq, h.Seq)
	case !c.headSeen:
		v.found("line %d is not in the log, and its signed head names it", h.Seq)
	case c.headHash != h.Hash:
		v.found("line %d is not the one that was signed: it or its like was put there", h.Seq)
	}
	if v.Seq > h.Seq {
		v.Unsigned = v.Seq - h.Seq
	}
}

// chain is the state of a reading.
type chain struct {
	v     *Verification
	head  *head
	check Check
	keys  ring

	started  bool
	where    string // of the line before
	seq      uint64 // of the line before
	hash     string // of the line before
	doubt    string // the line before is not the one that this one names; which of the two it is, the next line shows
	headSeen bool
	headHash string // of the line that the head is about

	acceptances []acceptance
	lists       map[string]bool // sessions of which there is a list, and whether it is one that the log has

	anchorHash string // of the line that the journal knows
	since      int64  // bytes that were read since the last pause
}

func (c *chain) read(path, name string, last bool) error {
	f, err := os.Open(path) // #nosec G304 -- a file of our own
	if errors.Is(err, fs.ErrNotExist) {
		return nil // max_files removed it meanwhile; the next one shows whether anything is missing
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	n := 0
	return readLines(f, func(text []byte, length int64, whole bool) error {
		n++
		if c.since += length; c.since >= betweenPauses && c.check.pause != nil {
			c.since = 0
			if !c.check.pause() {
				return errStopped
			}
		}
		where := fmt.Sprintf("%s line %d", name, n)
		switch {
		case !whole && last:
			c.v.Cut = length
		case !whole:
			c.v.found("%s: it is not whole", where)
		default:
			c.line(where, text, length, n == 1)
		}
		return nil
	})
}

// line checks one line against the one before.
func (c *chain) line(where string, text []byte, length int64, first bool) {
	c.v.Lines++
	var l line
	if err := json.Unmarshal(text, &l); err != nil || l.Seq == 0 || l.Seq > maxSeq || l.Event.Event == "" || length > maxLine {
		c.settle()
		c.v.found("%s: it is no line of an audit log (SHA-256 %.16s…)", where, hashOf(text))
		// What follows is compared with the bytes that are there.
		c.started, c.where, c.seq, c.hash = true, where, c.seq+1, hashOf(text)
		return
	}
	wrong := c.started && l.Prev != c.hash
	switch {
	case !c.started && l.Seq == 1 && l.Prev != genesis:
		c.v.found("%s: it is the first line, and names one before it", where)
	case c.started && l.Seq <= c.seq:
		c.settle()
		c.v.found("%s: line %d stands after line %d", where, l.Seq, c.seq)
	case c.started && l.Seq > c.seq+1:
		c.settle()
		c.v.found("%s: before it, lines %d to %d are missing", where, c.seq+1, l.Seq-1)
	case wrong && c.doubt != "":
		// It was the line between that was changed: its neighbours both disagree with it.
		c.doubt = ""
		c.v.found("%s", c.changed())
	case wrong:
		c.doubt = c.changed()
	default:
		c.settle()
	}
	if first && l.Event.Event != Segment {
		c.v.found("%s: it does not begin a file, and stands at one's beginning", where)
	}
	switch l.Event.Event {
	case Broken:
		c.v.found("%s: the gateway found: %q", where, l.Reason)
	case FilesRead:
		if list, ok := c.check.Lists[l.Session]; ok {
			c.lists[l.Session] = c.lists[l.Session] || l.Digest == list
		}
	case HostKey:
		c.handedOver(where, &l)
	case Accepted:
		if len(c.acceptances) == maxLinks {
			c.v.found("%s: more than %d lines accept findings", where, maxLinks)
			break
		}
		by, err := l.signedBy()
		c.acceptances = append(c.acceptances, acceptance{where, by, err, l.Files, l.Reason})
	}
	c.started, c.where, c.seq, c.hash = true, where, l.Seq, hashOf(text)
	c.v.Seq = max(c.v.Seq, l.Seq)
	if c.head != nil && l.Seq == c.head.Seq {
		c.headSeen, c.headHash = true, c.hash
	}
	if a := c.check.Anchor; a != nil && l.Seq == a.Seq {
		c.anchorHash = c.hash
	}
}

// changed is the finding about the line before. It says what the line is now, so that who accepts that accepts no other.
func (c *chain) changed() string {
	return fmt.Sprintf("%s: line %d was changed (SHA-256 %.16s… now)", c.where, c.seq, c.hash)
}

// settle reports a line that was in doubt.
func (c *chain) settle() {
	if c.doubt != "" {
		c.v.found("%s", c.doubt)
		c.doubt = ""
	}
}
