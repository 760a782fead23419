package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// This file reads a bbolt database without bbolt, which trusts every page: each offset, length and number is compared with
// where it may lie before it is used, no page is taken twice, and what is damaged is named and left out. It is for the look at
// a start, for store check and for store repair. The layout is the one of go.etcd.io/bbolt/internal/common (version 2).

// Kinds of pages, and of the elements of a leaf.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10

	bucketElement = 0x01
)

// Sizes in bytes of what begins a page, of an element's header, of a bucket's, and of a meta page's content.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16
	metaSize     = 64
)

const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	noFreelist  = ^uint64(0)

	maxDepth    = 64 // of a tree; 2^64 keys need fewer
	maxFindings = 20 // that are told one by one
)

// errNoMeta is for a file in which neither of the two pages is whole that say where everything else is.
var errNoMeta = errors.New("neither of its two meta pages is whole")

// order is that of the machine: a database is not carried to another kind of machine.
var order = binary.NativeEndian

// pages is a database file.
type pages struct {
	from io.ReaderAt
	size int64 // of the file, in bytes
	page int64 // size of a page, in bytes

	root, freelist, high uint64 // the root bucket's page, the freelist's, and the first number that no page has
	txid                 uint64

	used     map[uint64]bool
	findings []string
	more     int // findings that are not listed
}

// element is a key of a leaf page with its value. They are valid until the end of the walk's callback.
type element struct {
	flags      uint32
	key, value []byte
}

// openPages finds the newest whole meta page. bbolt writes them in turn, so that where one of them is damaged the other one may
// lead to everything as it was a change before: an approval that has been used would not have been. That is a finding.
func openPages(from io.ReaderAt, size int64) (*pages, error) {
	p := &pages{from: from, size: size, used: map[uint64]bool{}}
	known := false
	first := p.metaAt(0, 0, &known)
	sizes := []int64{p.page}
	if !first { // the second one is a page further, whatever its size is
		sizes = sizes[:0]
		for size := int64(1024); size <= 64<<10; size *= 2 {
			sizes = append(sizes, size)
		}
	}
	second := false
	for _, size := range sizes {
		second = p.metaAt(1, size, &known) || second
	}
	switch {
	case !known:
		return nil, errNoMeta
	case !first, !second:
		p.found("one of the two meta pages is damaged: what was changed last may be missing")
	}
	return p, nil
}

// metaAt takes the meta page of a number over where it is newer than what is known. It reports whether it is whole.
func (p *pages) metaAt(n uint64, at int64, known *bool) bool {
	b := make([]byte, pageHeader+metaSize)
	if _, err := p.from.ReadAt(b, at); err != nil {
		return false
	}
	meta := b[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSize-8])
	size, txid := int64(order.Uint32(meta[8:])), order.Uint64(meta[48:])
	switch {
	case order.Uint32(meta) != metaMagic, order.Uint32(meta[4:]) != metaVersion, order.Uint64(meta[56:]) != sum.Sum64():
		return false
	case size < 512 || size > 1<<20 || size&(size-1) != 0, at != 0 && size != at:
		return false
	case order.Uint64(b) != n || order.Uint16(b[8:]) != metaPage:
		return false
	case *known && size != p.page:
		return false
	case *known && txid <= p.txid:
		return true
	}
	*known = true
	p.page, p.root, p.freelist, p.high, p.txid = size, order.Uint64(meta[16:]), order.Uint64(meta[32:]), order.Uint64(meta[40:]), txid
	return true
}

func (p *pages) found(format string, args ...any) {
	if len(p.findings) >= maxFindings {
		p.more++
		return
	}
	p.findings = append(p.findings, fmt.Sprintf(format, args...))
}

// read returns a page of certain kinds with those that it goes on in, and how many elements it has; nil where it is damaged.
func (p *pages) read(id uint64, kinds uint16) (b []byte, kind uint16, count int) {
	if id < 2 || id >= p.high || id > uint64(p.size/p.page) { // #nosec G115 -- not negative
		p.found("page %d: the file has no such page", id)
		return nil, 0, 0
	}
	at := int64(id) * p.page // #nosec G115 -- compared above
	header := make([]byte, pageHeader)
	if _, err := p.from.ReadAt(header, at); err != nil {
		p.found("page %d: %v", id, readError(err))
		return nil, 0, 0
	}
	is, flags, overflow := order.Uint64(header), order.Uint16(header[8:]), uint64(order.Uint32(header[12:]))
	switch {
	case is != id:
		p.found("page %d: it says that it is page %d", id, is)
		return nil, 0, 0
	case flags&kinds == 0 || flags&(flags-1) != 0:
		p.found("page %d: its kind is %#x", id, flags)
		return nil, 0, 0
	case id+overflow >= p.high || (overflow+1) > uint64((p.size-at+p.page-1)/p.page): // #nosec G115 -- not negative
		p.found("page %d: it goes on in %d pages that the file does not have", id, overflow)
		return nil, 0, 0
	}
	for n := id; n <= id+overflow; n++ {
		if p.used[n] {
			p.found("page %d: it is used twice", n)
			return nil, 0, 0
		}
		p.used[n] = true
	}
	b = make([]byte, int64(overflow+1)*p.page) // #nosec G115 -- compared above
	if n, err := p.from.ReadAt(b, at); err != nil {
		p.found("page %d: %v", id, readError(err))
		clear(b[n:])
	}
	return b, flags, int(order.Uint16(header[10:]))
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the file ends before it does")
	}
	return err
}

// walk calls visit for each element of the leaves of a tree that can be read, in the order of their keys.
func (p *pages) walk(root uint64, visit func(element)) { p.branch(root, nil, 0, visit) }

func (p *pages) branch(id uint64, least []byte, depth int, visit func(element)) {
	if depth > maxDepth {
		p.found("page %d: it lies too deep", id)
		return
	}
	b, kind, count := p.read(id, branchPage|leafPage)
	if b == nil {
		return
	}
	if kind == leafPage {
		p.leaf(fmt.Sprintf("page %d", id), b, count, least, visit)
		return
	}
	if count == 0 {
		p.found("page %d: it leads nowhere", id)
	}
	var last []byte
	for i := range count {
		at := pageHeader + i*pageElement
		if at+pageElement > len(b) {
			p.found("page %d: it has no room for %d elements", id, count)
			return
		}
		pos, size, child := order.Uint32(b[at:]), order.Uint32(b[at+4:]), order.Uint64(b[at+8:])
		key, ok := slice(b, at, pos, size)
		if !ok || i > 0 && bytes.Compare(last, key) >= 0 || i == 0 && least != nil && bytes.Compare(key, least) < 0 {
			p.found("page %d: element %d of %d is damaged", id, i, count)
			continue
		}
		last = key
		p.branch(child, key, depth+1, visit)
	}
}

// leaf visits the elements of a leaf page, or of one that stands in a bucket's value.
func (p *pages) leaf(name string, b []byte, count int, least []byte, visit func(element)) {
	var last []byte
	for i := range count {
		at := pageHeader + i*pageElement
		if at+pageElement > len(b) {
			p.found("%s: it has no room for %d elements", name, count)
			return
		}
		flags, pos, size, length := order.Uint32(b[at:]), order.Uint32(b[at+4:]), order.Uint32(b[at+8:]), order.Uint32(b[at+12:])
		key, whole := slice(b, at, pos, size)
		var value []byte
		if whole {
			value, whole = slice(b, at, pos+size, length)
		}
		if !whole || pos+size < pos || flags&^bucketElement != 0 || len(key) == 0 || i > 0 && bytes.Compare(last, key) >= 0 ||
			i == 0 && least != nil && bytes.Compare(key, least) < 0 {
			p.found("%s: element %d of %d is damaged", name, i, count)
			continue
		}
		last = key
		visit(element{flags, key, value})
	}
}

// slice is a part of a page, by where it begins after its element's header.
func slice(b []byte, at int, pos, size uint32) ([]byte, bool) {
	from := int64(at) + int64(pos)
	to := from + int64(size)
	if to > int64(len(b)) {
		return nil, false
	}
	return b[from:to:to], true
}

// bucket is what a bucket's value says of it.
type bucket struct {
	root, sequence uint64
	inline         []byte // its only page, where it has no other
}

// buckets lists the top-level buckets by name.
func (p *pages) buckets() map[string]bucket {
	all := map[string]bucket{}
	p.walk(p.root, func(e element) {
		if e.flags != bucketElement || len(e.value) < bucketHeader {
			p.found("bucket %q is damaged", e.key)
			return
		}
		all[string(e.key)] = bucket{order.Uint64(e.value), order.Uint64(e.value[8:]), bytes.Clone(e.value[bucketHeader:])}
	})
	return all
}

// each calls visit for each element of a bucket that can be read.
func (p *pages) each(name string, b bucket, visit func(key, value []byte)) {
	take := func(e element) {
		if e.flags != 0 {
			p.found("bucket %s: the element %q is a bucket", name, e.key)
			return
		}
		visit(e.key, e.value)
	}
	switch {
	case b.root != 0:
		p.walk(b.root, take)
	case len(b.inline) < pageHeader || order.Uint16(b.inline[8:]) != leafPage:
		p.found("bucket %s: its page is damaged", name)
	default:
		p.leaf("bucket "+name, b.inline, int(order.Uint16(b.inline[10:])), nil, take)
	}
}

// free looks at the list of pages that are free.
func (p *pages) free() {
	if p.freelist == noFreelist {
		return
	}
	b, _, count := p.read(p.freelist, freelistPage)
	if b == nil {
		return
	}
	ids := b[pageHeader:]
	total := uint64(count) // #nosec G115 -- of 16 bits
	if count == 0xFFFF {   // then the first one says how many follow
		total, ids = order.Uint64(ids), ids[8:]
	}
	if total > uint64(len(ids)/8) { // #nosec G115 -- not negative
		p.found("page %d: it has no room for %d free pages", p.freelist, total)
		return
	}
	last := uint64(1)
	for i := range total {
		id := order.Uint64(ids[8*i:])
		if id <= last || id >= p.high || p.used[id] {
			p.found("page %d: page %d stands in it as free", p.freelist, id)
			return
		}
		last = id
	}
}

// check looks at every page that is in use.
func (p *pages) check() {
	for name, b := range p.buckets() {
		p.each(name, b, func([]byte, []byte) {})
	}
	p.free()
}

// pagesError says what is damaged; nil for nothing.
func (p *pages) err() error {
	if len(p.findings) == 0 {
		return nil
	}
	why := p.findings[0]
	if others := len(p.findings) - 1 + p.more; others > 0 {
		why = fmt.Sprintf("%s, and %d more findings", why, others)
	}
	return damagedPages(why)
}

// CheckPages looks at every page of a database that is in use. The error wraps ErrPages where one is damaged, ErrInUse where a
// gateway has the database open, and fs.ErrNotExist where there is none.
func CheckPages(name string) error {
	if _, err := os.Stat(name); err != nil {
		return failure("look for the database", err)
	}
	db, err := openDatabase(name, bbolt.Options{ReadOnly: true}, true)
	if err != nil {
		return err
	}
	return db.Close()
}

// checkPages looks at every page of a database that is in use, before bbolt does.
func checkPages(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p, err := openPages(f, info.Size())
	if err != nil {
		return damagedPages(err.Error())
	}
	p.check()
	return p.err()
}
