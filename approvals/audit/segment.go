package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"shannot-gateway/internal/linux/durable"
)

// maxSegment is the size at which a new file begins whatever the day, in bytes.
const maxSegment = 64 << 20

// segmentName is the name of the log's file number n. The number makes it unique and gives the order, whatever a clock
// says; the day is for people.
func segmentName(n int, at time.Time) string {
	return fmt.Sprintf("audit-%s-%08d.jsonl", at.UTC().Format(time.DateOnly), n)
}

// segmentDay is the day on which a file of the log was begun.
func segmentDay(name string) string {
	rest := strings.TrimPrefix(name, "audit-")
	return rest[:min(len(rest), len(time.DateOnly))]
}

// segmentNumber is the number of a file of the log.
func segmentNumber(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, "audit-")
	if !ok || len(rest) < len(time.DateOnly)+1 {
		return 0, false
	}
	number, ok := strings.CutSuffix(rest[len(time.DateOnly)+1:], ".jsonl")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return 0, false
	}
	day, err := time.Parse(time.DateOnly, rest[:len(time.DateOnly)])
	return n, err == nil && segmentName(n, day) == name
}

// segments lists the log's files in their order.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := segmentNumber(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := segmentNumber(a)
		y, _ := segmentNumber(b)
		return x - y
	})
	return names, nil
}

// place is where a file's last whole line ends.
type place struct {
	size int64 // bytes of whole lines
	seq  uint64
	hash string // of the last whole line, "" where there is none
	rest []byte // what follows the last whole line, at most maxLine bytes of it
	more int64  // bytes that follow in all
}

// findEnd reads a file to its end.
func findEnd(name string) (p place, err error) {
	f, err := os.Open(name) // #nosec G304 -- a file of our own
	if err != nil {
		return p, err
	}
	defer func() { _ = f.Close() }()
	err = readLines(f, func(text []byte, length int64, whole bool) error {
		if !whole {
			p.rest, p.more = bytes.Clone(text), length
			return nil
		}
		p.size += length
		p.hash = hashOf(text)
		var l line
		if json.Unmarshal(text, &l) == nil && l.Seq <= maxSeq/2 {
			p.seq = max(p.seq, l.Seq)
		}
		return nil
	})
	return p, err
}

// findLine looks for a line by its number. It returns the number of the file's first line, and the line's hash, "" where
// the file does not have it.
func findLine(name string, seq uint64) (first uint64, hash string, err error) {
	f, err := os.Open(name) // #nosec G304 -- a file of our own
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = f.Close() }()
	err = readLines(f, func(text []byte, _ int64, whole bool) error {
		var l struct {
			Seq uint64 `json:"seq"`
		}
		if !whole || json.Unmarshal(text, &l) != nil {
			return nil
		}
		if first == 0 {
			first = l.Seq
		}
		if l.Seq == seq {
			hash = hashOf(text)
		}
		return nil
	})
	return first, hash, err
}

// readLines calls fn with each line, without its newline, and its length in bytes, with it. whole is false for what
// follows the last newline. Of a line longer than any that the log writes, fn gets the beginning.
func readLines(r io.Reader, fn func(text []byte, length int64, whole bool) error) error {
	in := bufio.NewReaderSize(r, 2*maxLine)
	for {
		text, err := in.ReadSlice('\n')
		text = bytes.Clone(text)
		length := int64(len(text))
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			more, err = in.ReadSlice('\n')
			length += int64(len(more))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		whole := err == nil
		if length > 0 {
			if err := fn(bytes.TrimSuffix(text, []byte("\n")), length, whole); err != nil {
				return err
			}
		}
		if !whole {
			return nil
		}
	}
}

func remove(dir string, names []string) error {
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return durable.SyncDir(dir)
}
