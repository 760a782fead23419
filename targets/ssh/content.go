package ssh

import (
	"context"
	"errors"
	"io"
	"path"
	"syscall"

	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// Open returns a descriptor of a file's content. EACCES for devices and for writing, ENXIO for FIFOs and sockets,
// ELOOP for what turns out to be a link, EFBIG for a file that is too large.
func (v *View) Open(name string, flags int) (int, error) {
	switch {
	case flags&syscall.O_ACCMODE != syscall.O_RDONLY:
		return -1, syscall.EACCES
	case vfs.OfTheReader(name):
		return -1, syscall.ENOENT
	}
	v.question()
	defer v.answered()
	v.noteAccess(readsFiles, name)
	if f := v.take(name); f != nil {
		v.following(name)
		return vfs.Sealed(path.Base(name), f.data)
	}
	l, err := v.lstat(name)
	if err != nil {
		return -1, err
	}
	<-l.ready
	if l.err != nil {
		return -1, l.err
	}
	if err := readable(l.info); err != nil {
		return -1, err
	}
	v.following(name)
	var attrs sftp.Attributes
	data, err := ask(v, func(r *relay) ([]byte, error) {
		f, err := v.openRemote(r, name, l.info.Size)
		if err != nil {
			return nil, err
		}
		defer r.Forget(f.handle)
		attrs = f.attrs
		return f.rest(v.ctx, maxWhole)
	})
	if errors.Is(err, syscall.ELOOP) {
		v.Forget() // what was a file, or a directory on the way to it, is a link now
	}
	if err != nil {
		return -1, err
	}
	v.learned(name, attrs)
	return vfs.Sealed(path.Base(name), data)
}

// maxWhole is the largest file that is read, in bytes.
const maxWhole = 64 << 20

// readable refuses what cannot be read without touching it: a FIFO would hang the server, a device would act.
func readable(info vfs.Info) error {
	switch info.Type() {
	case syscall.S_IFREG:
		return nil
	case syscall.S_IFDIR:
		return syscall.EISDIR
	case syscall.S_IFLNK:
		return syscall.ELOOP
	case syscall.S_IFIFO, syscall.S_IFSOCK:
		return syscall.ENXIO
	}
	return syscall.EACCES
}

// remoteFile is an open file of a target, with what was read along with the open.
type remoteFile struct {
	r      *relay
	handle sftp.Handle
	attrs  sftp.Attributes // of the open file
	kernel bool
	head   []byte
	ended  bool // head is all of it
}

// openRemote opens a file and makes sure that it is the one that stands under the name, not another that a link leads to.
// The server follows links, and somebody on the target may put one there between our look and our open. The protocol has
// no open that refuses links, nor inode numbers. So openRemote compares what it opened with what stands under the name
// afterwards, and the name with its own canonical form. It asks for the first bytes in the same breath.
func (v *View) openRemote(r *relay, name string, size int64) (*remoteFile, error) {
	h, err := r.Open(v.ctx, name, sftp.OpenRead, 0)
	if err != nil {
		return nil, err
	}
	f := &remoteFile{r: r, handle: h, kernel: kernelFile(name)}
	opened, named, real := r.StartFstat(v.ctx, h), r.StartLstat(v.ctx, name), r.StartRealpath(v.ctx, name)
	first := f.startAhead(v.ctx, 0, min(size, firstRead))
	if f.attrs, err = sameFile(v.ctx, opened, named, real, name); err != nil {
		r.Forget(h)
		return nil, err
	}
	if err := f.collect(v.ctx, first); err != nil {
		r.Forget(h)
		return nil, err
	}
	return f, nil
}

// firstRead is how many bytes are asked for along with the open.
const firstRead = 256 << 10

// sameFile checks an open file against its name, and returns what it is. ELOOP where they are two.
func sameFile(ctx context.Context, opened, named sftp.Future[sftp.Attributes], real sftp.Future[string], name string) (sftp.Attributes, error) {
	a, err := opened.Wait(ctx)
	if err != nil {
		return a, err
	}
	now, err := named.Wait(ctx)
	if err != nil {
		return a, err
	}
	if err := canonical(ctx, real, name); err != nil {
		return a, err
	}
	info, err := sftp.Info(a)
	if err != nil {
		return a, err
	}
	if err := readable(info); err != nil {
		return a, err
	}
	if a.Mode != now.Mode || a.UID != now.UID || a.GID != now.GID {
		return a, syscall.ELOOP // another file than the one that stands there, or a link
	}
	return a, nil
}

// startAhead asks for the bytes from offset to offset+n, at least for one piece.
func (f *remoteFile) startAhead(ctx context.Context, offset, n int64) (pieces []sftp.Future[[]byte]) {
	for at := int64(0); at == 0 || at < n; at += sftp.MaxRead {
		pieces = append(pieces, f.r.StartRead(ctx, f.handle, offset+at, sftp.MaxRead))
	}
	return pieces
}

// collect takes the first pieces in order, up to one that is short: what follows it would leave a gap.
func (f *remoteFile) collect(ctx context.Context, pieces []sftp.Future[[]byte]) error {
	for _, p := range pieces {
		data, err := p.Wait(ctx)
		if errors.Is(err, io.EOF) {
			f.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		f.head = append(f.head, data...)
		if len(data) < sftp.MaxRead {
			break
		}
	}
	// A size says where the end is, but not of a file that the kernel makes.
	f.ended = !f.kernel && f.attrs.Size > 0 && uint64(len(f.head)) == f.attrs.Size
	return nil
}

// rest reads to the end. EFBIG where the whole is larger than limit.
func (f *remoteFile) rest(ctx context.Context, limit int64) ([]byte, error) {
	for !f.ended {
		if int64(len(f.head)) > limit {
			return nil, syscall.EFBIG
		}
		n := int64(1)
		if left := int64(f.attrs.Size) - int64(len(f.head)); left > 0 && !f.kernel { // #nosec G115 -- checked by Info
			n = min(left, sftp.Window/2*sftp.MaxRead)
		}
		if err := f.collect(ctx, f.startAhead(ctx, int64(len(f.head)), n)); err != nil {
			return nil, err
		}
	}
	if int64(len(f.head)) > limit {
		return nil, syscall.EFBIG
	}
	return f.head, nil
}
