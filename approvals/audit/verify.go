package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"
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
}

func (v *Verification) found(format string, args ...any) {
	if len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
	}
}

// Verify reads the whole log of a directory. keys are those that the head may be signed with. The gateway may be
// running. An error means that the log could not be read.
func Verify(dir string, keys []ssh.PublicKey) (*Verification, error) {
	v := &Verification{}
	// The head before the lines, since a running gateway adds to both, to the lines first.
	h, key, damaged, err := readHead(filepath.Join(dir, headFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the audit log's head: %w", err)
	}
	names, err := segments(dir)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	c := &chain{v: v, head: h}
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
	v.Files = len(names)
	v.checkHead(h, key, damaged, names, keys, c)
	return v, nil
}

// checkHead compares the log with its signed head.
func (v *Verification) checkHead(h *head, key ssh.PublicKey, damaged bool, names []string, keys []ssh.PublicKey, c *chain) {
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
	if !trusted(key, keys) {
		v.found("%s: it is signed with %s, which is no host key of this gateway", headFile, v.SignedBy)
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
	v    *Verification
	head *head

	started  bool
	where    string // of the line before
	seq      uint64 // of the line before
	hash     string // of the line before
	doubt    string // the line before is not the one that this one names; which of the two it is, the next line shows
	headSeen bool
	headHash string // of the line that the head is about
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
		c.v.found("%s: it is no line of an audit log", where)
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
		c.v.found("%s: line %d was changed", c.where, c.seq)
	case wrong:
		c.doubt = fmt.Sprintf("%s: line %d was changed", c.where, c.seq)
	default:
		c.settle()
	}
	if first && l.Event.Event != Segment {
		c.v.found("%s: it does not begin a file, and stands at one's beginning", where)
	}
	if l.Event.Event == Broken {
		c.v.found("%s: at its start the gateway found: %q", where, l.Reason)
	}
	c.started, c.where, c.seq, c.hash = true, where, l.Seq, hashOf(text)
	c.v.Seq = max(c.v.Seq, l.Seq)
	if c.head != nil && l.Seq == c.head.Seq {
		c.headSeen, c.headHash = true, c.hash
	}
}

// settle reports a line that was in doubt.
func (c *chain) settle() {
	if c.doubt != "" {
		c.v.found("%s", c.doubt)
		c.doubt = ""
	}
}
