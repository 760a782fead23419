//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
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

// The first byte of a question says what it is about. The path of a directory follows, and for attributes names in it, each behind
// a NUL.
const (
	bulkList  = 'd' // the entries of the directory
	bulkLstat = 'l' // the attributes of the names
	bulkStat  = 's' // the same, of what links lead to
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
	words := bytes.Split(question[1:], []byte{0})
	if len(words) > maxBulkNames+1 {
		return nil, unix.E2BIG
	}
	dir, e := b.directory(string(words[0]))
	if e != 0 {
		return nil, e
	}
	switch question[0] {
	case bulkList:
		return b.entries(dir, room)
	case bulkLstat, bulkStat:
		names := make([]string, len(words)-1)
		for i, w := range words[1:] {
			names[i] = string(w)
		}
		return b.attributes(dir, names, question[0] == bulkStat, room)
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

// entries lists a directory: the number of entries, in eight bytes; their inodes, eight bytes each; their types, DT_* of
// dirent.h, one byte each; and their names with a NUL between two.
func (b bulk) entries(dir string, room int) ([]byte, unix.Errno) {
	entries, err := b.run.job.FS.List(dir)
	if err != nil {
		return nil, vfs.ErrnoOf(err)
	}
	size := 8
	for i := range entries {
		size += 10 + len(entries[i].Name)
	}
	if size > room {
		return nil, unix.E2BIG
	}
	out := binary.NativeEndian.AppendUint64(make([]byte, 0, size), uint64(len(entries)))
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
	return out, 0
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
