//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// A walk asks the kernel several questions for each directory and one for each file. The guest asks one for a directory and one
// for the attributes of the files that come next, as READDIRPLUS of NFS does, and answers the script from its own memory. What
// the guest makes of an answer is its own affair: a script can ask for nothing here that it could not ask for by name, and the
// supervisor keeps nothing of it.
//
// The question is a readv(2) on a descriptor that no process can have. Its first buffer holds the question, the second takes the
// answer. So it needs no descriptor and no thread of the gateway's own.

// bulkDescriptor is what the guest reads from. The number means nothing elsewhere: the kernel answers EBADF.
const (
	bulkDescriptor = -0x5348
	bulkNumber     = 1<<32 + bulkDescriptor // the same as the filter compares it
)

// Bounds of one question and its answer, in bytes and names. The guest asks for less.
const (
	maxBulkQuestion = 64 << 10
	maxBulkAnswer   = 4 << 20
	maxBulkNames    = 1024
)

// Bounds of what is told ahead of directories and of what is in files, so that it is told within milliseconds, and used so.
const (
	maxTreeDirectories = 64
	maxTreeEntries     = 640
	maxSmallFile       = 32 << 10 // bytes
	maxSmallFiles      = 64
	maxSmallTime       = 2 * time.Millisecond // after which no further one is begun
)

// The first byte of a question says what it is about. The path of a directory follows, and then names in it, each behind
// a NUL.
const (
	bulkList  = 'd' // the entries of the directory
	bulkLstat = 'l' // the attributes of the names
	bulkStat  = 's' // the same, of what links lead to
	bulkTree  = 't' // the entries of the directories of these names, and of those below: see bulk.trees
	bulkRead  = 'r' // what is in the files of these names, which may be names in directories of the directory
)

// readv answers readv(2): the guest's questions, and reads of streams.
func (b bulk) readv(n *seccomp.Notification) answer {
	if int32(n.Args[0]) != bulkDescriptor { // #nosec G115 -- a descriptor
		return b.run.calls.streams.read(n)
	}
	var vector [4]uint64 // two of struct iovec
	if n.Args[2] != 2 {
		return failed(unix.EBADF)
	}
	if e := b.run.proc.Read(n, n.Args[1], seccomp.Bytes(&vector)); e != 0 {
		return failed(e)
	}
	size, to, room := vector[1], vector[2], min(vector[3], maxBulkAnswer)
	if size == 0 || size > maxBulkQuestion {
		return failed(unix.EINVAL)
	}
	question := make([]byte, size)
	if e := b.run.proc.Read(n, vector[0], question); e != 0 {
		return failed(e)
	}
	out, e := b.reply(question, int(room)) // #nosec G115 -- bounded
	if e != 0 {
		return failed(e)
	}
	if e := b.run.proc.Write(n, to, out); e != 0 {
		return failed(e)
	}
	return answer{val: int64(len(out))}
}

// bulk answers the questions of one run.
type bulk struct{ run *run }

// reply answers one question with no more than room bytes. E2BIG where that is too little: the guest asks in the usual way then.
func (b bulk) reply(question []byte, room int) ([]byte, unix.Errno) {
	kind, rest := question[0], question[1:]
	if kind == bulkTree {
		return b.trees(rest, room)
	}
	words := bytes.Split(rest, []byte{0})
	if len(words) > maxBulkNames+1 {
		return nil, unix.E2BIG
	}
	dir, e := b.directory(string(words[0]))
	if e != 0 {
		return nil, e
	}
	names := make([]string, len(words)-1)
	for i, w := range words[1:] {
		names[i] = string(w)
	}
	switch kind {
	case bulkList:
		return b.entries(dir, room)
	case bulkLstat, bulkStat:
		return b.attributes(dir, names, kind == bulkStat, room)
	case bulkRead:
		return b.contents(dir, names, room)
	}
	return nil, unix.EINVAL
}

// directory is the absolute name of a directory that is not one of the interpreter's own descriptors.
func (b bulk) directory(name string) (string, unix.Errno) {
	name, err := b.run.names.Absolute(unix.AT_FDCWD, name)
	if err != nil {
		return "", vfs.ErrnoOf(err)
	}
	name, e := b.run.calls.paths.throughDirectory(name)
	if e != 0 {
		return "", e
	}
	if _, own := b.run.calls.paths.ownDescriptor(name); own {
		return "", unix.EOPNOTSUPP
	}
	return name, 0
}

// entries lists a directory.
func (b bulk) entries(dir string, room int) ([]byte, unix.Errno) {
	entries, err := b.run.job.FS.List(dir)
	if err != nil {
		return nil, vfs.ErrnoOf(err)
	}
	size := sizeOfListing(entries)
	if size > room {
		return nil, unix.E2BIG
	}
	return appendListing(make([]byte, 0, size), entries), 0
}

// sizeOfListing is at least the size of what appendListing appends, in bytes.
func sizeOfListing(entries []vfs.Dirent) int {
	size := 8
	for i := range entries {
		size += 10 + len(entries[i].Name)
	}
	return size
}

// appendListing appends the entries of a directory: their number, in eight bytes; their inodes, eight bytes each; their types,
// DT_* of dirent.h, one byte each; and their names with a NUL between two.
func appendListing(out []byte, entries []vfs.Dirent) []byte {
	out = binary.NativeEndian.AppendUint64(out, uint64(len(entries)))
	for i := range entries {
		out = binary.NativeEndian.AppendUint64(out, inodeNumber(entries[i]))
	}
	for i := range entries {
		out = append(out, byte(entries[i].Type>>12)) // DT_* is S_IFMT shifted, dirent.h
	}
	for i := range entries {
		if i > 0 {
			out = append(out, 0)
		}
		out = append(out, entries[i].Name...)
	}
	return out
}

// bulkRecord is the size of one file's attributes: the nineteen fields of os.stat_result, eight bytes each, in its order.
const bulkRecord = 19 * 8

// attributes describes files of a directory, one record after the other. One of zeros stands for a file that the guest has to
// ask for by its name. From before a command starts until it has
// ended nothing is told ahead, since it may change any file: EAGAIN.
func (b bulk) attributes(dir string, names []string, follow bool, room int) ([]byte, unix.Errno) {
	switch {
	case len(names)*bulkRecord > room:
		return nil, unix.E2BIG
	case b.run.tree.notice.commands.Load() > 0:
		return nil, unix.EAGAIN
	}
	b.run.tree.throttle.Spend(len(names) / namesOfACall)
	out := make([]byte, len(names)*bulkRecord)
	err := b.run.job.FS.LstatAll(dir, names, follow, func(i int, info vfs.Info) {
		st := toStat(info)
		putAttributes(out[i*bulkRecord:(i+1)*bulkRecord], &st)
	})
	if err != nil {
		return nil, vfs.ErrnoOf(err)
	}
	return out, 0
}

// trees lists directories below others, and describes some of their entries. The question is a digit, 1 to describe all entries and not
// directories alone, 2 also what links lead to, 3 for both; the path of a directory, and names of directories in it, each behind
// a NUL. An empty name stands before another path with its names. The answer has for each directory: the number of the path that
// it is below, and the sizes of its own path, of its listing and of either list of records, four bytes each; its path below
// that; its listing; records of what Lstat says; and records of what the links among its entries lead to. A directory that is not told of is asked
// for by its name.
func (b bulk) trees(question []byte, room int) ([]byte, unix.Errno) {
	words := bytes.Split(question, []byte{0})
	switch {
	case len(question) == 0 || question[0] < '0' || question[0] > '3':
		return nil, unix.EINVAL
	case len(words) > maxBulkNames+1:
		return nil, unix.E2BIG
	case b.run.tree.notice.commands.Load() > 0:
		return nil, unix.EAGAIN
	}
	wish := vfs.TreeWish{Files: question[0]&1 != 0, Links: question[0]&2 != 0}
	words[0] = words[0][1:]
	bound := vfs.TreeBound{Directories: maxTreeDirectories, Entries: maxTreeEntries}
	var out []byte
	for group := uint32(0); len(words) > 0 && bound.Directories > 0; group++ {
		end := slices.IndexFunc(words, func(w []byte) bool { return len(w) == 0 })
		if end < 0 {
			end = len(words)
		}
		if end == 0 {
			return nil, unix.ENOENT // the path
		}
		names := make([]string, end-1)
		for i, w := range words[1:end] {
			names[i] = string(w)
		}
		dir, e := b.directory(string(words[0]))
		if e != 0 {
			return nil, e
		}
		listed, err := vfs.AheadOf(b.run.job.FS).ListTree(dir, names, wish, &bound)
		switch {
		case err != nil && group == 0:
			return nil, vfs.ErrnoOf(err)
		case err != nil:
			return out, 0
		}
		var whole bool
		if out, whole = b.appendTree(out, group, listed, room); !whole {
			break
		}
		words = words[min(end+1, len(words)):]
	}
	return out, 0
}

// appendTree appends the directories of one group. It reports false where there is no room for all of them.
func (b bulk) appendTree(out []byte, group uint32, listed []vfs.Listed, room int) ([]byte, bool) {
	described := 0
	defer func() { b.run.tree.throttle.Spend(len(listed) + described/namesOfACall) }()
	var listing, lstat, stat []byte
	for i := range listed {
		l := &listed[i]
		listing, lstat, stat = appendListing(listing[:0], l.Entries), lstat[:0], stat[:0]
		for _, info := range l.Lstat {
			lstat = appendAttributes(lstat, info)
		}
		for _, info := range l.Stat {
			stat = appendAttributes(stat, info)
		}
		if len(out)+20+len(l.Path)+len(listing)+len(lstat)+len(stat) > room {
			return out, false
		}
		out = binary.NativeEndian.AppendUint32(out, group)
		for _, n := range []int{len(l.Path), len(listing), len(lstat), len(stat)} {
			out = binary.NativeEndian.AppendUint32(out, uint32(n)) // #nosec G115 -- bounded by room
		}
		out = append(append(append(append(out, l.Path...), listing...), lstat...), stat...)
		described += (len(lstat) + len(stat)) / bulkRecord
	}
	return out, true
}

// appendAttributes appends a record of what is known of a file, zeros where nothing is.
func appendAttributes(out []byte, info vfs.Info) []byte {
	at := len(out)
	out = append(out, make([]byte, bulkRecord)...)
	if info.Mode != 0 {
		st := toStat(info)
		putAttributes(out[at:], &st)
	}
	return out
}

// bulkUnread stands for the size of a file that is not told of.
const bulkUnread = math.MaxUint32

// contents tells what is in small files. For each name: its size, in four bytes, bulkUnread for one that the script has to
// open; its device and inode, eight bytes each, zeros where the kernel makes
// what is in it; and what is in it. Each file that is told of counts as one that the script has
// opened, since the script can see it.
func (b bulk) contents(dir string, names []string, room int) ([]byte, unix.Errno) {
	const head = 4 + 8 + 8
	switch {
	case len(names) > maxSmallFiles || len(names)*head > room:
		return nil, unix.E2BIG
	case b.run.tree.notice.commands.Load() > 0:
		return nil, unix.EAGAIN
	}
	b.run.tree.throttle.Spend(len(names))
	var out []byte
	begun := time.Now()
	for i, name := range names {
		size, data, info := uint32(bulkUnread), []byte(nil), vfs.Info{}
		most := min(maxSmallFile, room-len(out)-head*(len(names)-i))
		if name != "" && most >= 0 && (i == 0 || time.Since(begun) < maxSmallTime) {
			var err error
			if data, info, err = b.small(posix.Join(dir, name), most); err == nil {
				size = uint32(len(data)) // #nosec G115 -- bounded
				if info.Size == 0 && size > 0 {
					info = vfs.Info{} // the kernel makes it anew for each who reads it from the beginning
				}
			}
		}
		out = binary.NativeEndian.AppendUint32(out, size)
		out = binary.NativeEndian.AppendUint64(out, info.Dev)
		out = binary.NativeEndian.AppendUint64(out, info.Ino)
		out = append(out, data...)
	}
	return out, 0
}

// small is what is in a small file that is none of the interpreter's own descriptors.
func (b bulk) small(name string, most int) ([]byte, vfs.Info, error) {
	if _, own := b.run.calls.paths.ownDescriptor(name); own || strings.Contains(name, "/fd/") {
		return nil, vfs.Info{}, unix.EOPNOTSUPP
	}
	return vfs.AheadOf(b.run.job.FS).ReadSmall(name, most)
}

// namesOfACall is how many files that are described at once count as one call.
const namesOfACall = 4

// putAttributes encodes os.stat_result as CPython computes it, see _pystat_fromstructstat in Modules/posixmodule.c.
func putAttributes(b []byte, st *unix.Stat_t) {
	put := func(i int, v uint64) { binary.NativeEndian.PutUint64(b[8*i:], v) }
	id := func(v uint32) uint64 {
		if v == math.MaxUint32 {
			return math.MaxUint64 // -1
		}
		return uint64(v)
	}
	put(0, uint64(st.Mode))
	put(1, st.Ino)
	put(2, uint64(st.Dev))
	put(3, uint64(st.Nlink)) //nolint:unconvert // 32 bits on arm64
	put(4, id(st.Uid))
	put(5, id(st.Gid))
	put(6, uint64(st.Size)) // #nosec G115 -- read again as signed, as the following
	for i, t := range []unix.Timespec{st.Atim, st.Mtim, st.Ctim} {
		put(7+i, uint64(t.Sec)) // #nosec G115 -- as the kernel has it
		// The product is rounded before it is added, as in C.
		put(10+i, math.Float64bits(float64(t.Sec)+float64(1e-9*float64(t.Nsec))))
		put(13+i, uint64(t.Nano())) // #nosec G115 -- as the kernel has it
	}
	put(16, uint64(st.Blksize)) // #nosec G115 -- as the kernel has it
	put(17, uint64(st.Blocks))  // #nosec G115 -- as the kernel has it
	put(18, uint64(st.Rdev))    //nolint:unconvert // as Nlink
}
