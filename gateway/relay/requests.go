package relay

import (
	"syscall"
	"time"

	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/vfs"
)

// Flags of an open, draft-ietf-secsh-filexfer-02, section 6.3.
const (
	openRead   = 0x01
	openWrite  = 0x02
	openAppend = 0x04
	openCreate = 0x08
	openTrunc  = 0x10
	openExcl   = 0x20
)

// requests are what is answered, by the type of the packet (draft-ietf-secsh-filexfer-02, section 6). An error ends the
// connection.
var requests map[byte]func(*server, request) error

// extensions are OpenSSH's that are served, see PROTOCOL of OpenSSH, section 4.
var extensions = []struct {
	name, version string
	take          func(*server, request) error
}{
	{"posix-rename@openssh.com", "1", takePosixRename},
	{"statvfs@openssh.com", "2", takeStatvfs},
	{"fstatvfs@openssh.com", "2", takeFstatvfs},
	{"lsetstat@openssh.com", "1", takeLsetstat},
	{"limits@openssh.com", "1", takeLimits},
}

func init() { // a table that names what answers by it would be a circle
	requests = map[byte]func(*server, request) error{
		sftpwire.TypeOpen: takeOpen, sftpwire.TypeClose: takeClose,
		sftpwire.TypeRead: takeRead, sftpwire.TypeWrite: takeWrite,
		sftpwire.TypeLstat: takeLstat, sftpwire.TypeStat: takeStat, sftpwire.TypeFstat: takeFstat,
		sftpwire.TypeSetstat: takeSetstat, sftpwire.TypeFsetstat: takeFsetstat,
		sftpwire.TypeOpendir: takeOpendir, sftpwire.TypeReaddir: takeReaddir,
		sftpwire.TypeRemove: takeRemove, sftpwire.TypeMkdir: takeMkdir, sftpwire.TypeRmdir: takeRmdir,
		sftpwire.TypeRealpath: takeRealpath, sftpwire.TypeReadlink: takeReadlink,
		sftpwire.TypeRename: takeRename, sftpwire.TypeSymlink: takeSymlink,
		sftpwire.TypeExtended: takeExtended,
	}
}

func takeExtended(s *server, r request) error {
	name := r.String()
	for _, e := range extensions {
		if e.name == name && !r.Bad() {
			return e.take(s, r)
		}
	}
	return s.status(r.id, errUnsupported)
}

// lookAt answers a request about a path, which changes nothing.
func (s *server) lookAt(r request, answer func(name string) (sftpwire.Encoder, error)) error {
	name := r.String()
	if err := r.complete(name); err != nil {
		return s.status(r.id, err)
	}
	return s.inOrder(r.id, func() (sftpwire.Encoder, error) { return answer(name) })
}

// guarded is an answer, or the status that says why there is none.
func (s *server) guarded(id uint32, answer func() (sftpwire.Encoder, error)) sftpwire.Encoder {
	p, err := func() (p sftpwire.Encoder, err error) {
		defer s.r.guard(&err)
		return answer()
	}()
	if err != nil {
		return statusOf(id, err)
	}
	return p
}

func takeStat(s *server, r request) error  { return takeDescription(s, r, true) }
func takeLstat(s *server, r request) error { return takeDescription(s, r, false) }

func takeDescription(s *server, r request, follow bool) error {
	return s.lookAt(r, func(name string) (sftpwire.Encoder, error) {
		found, err := s.r.stat(name, follow)
		return attributesPacket(r.id, found), err
	})
}

func attributesPacket(id uint32, found vfs.Info) sftpwire.Encoder {
	p := sftpwire.NewPacket(sftpwire.TypeAttrs)
	p.Uint32(id)
	p.Attributes(attributesOf(found))
	return p
}

// attributesOf is what the protocol tells of a file: its times have whole seconds, from 1970 to 2106.
func attributesOf(found vfs.Info) sftpwire.Attributes {
	return sftpwire.Attributes{
		Flags: sftpwire.AttrSize | sftpwire.AttrOwner | sftpwire.AttrPermissions | sftpwire.AttrTimes,
		Size:  uint64(max(0, found.Size)), UID: found.UID, GID: found.GID, Mode: found.Mode, // #nosec G115 -- not negative
		Atime: seconds(found.Atime), Mtime: seconds(found.Mtime),
	}
}

func seconds(t time.Time) uint32 {
	if t.IsZero() { // of a target's own directory
		return 0
	}
	return uint32(min(max(0, t.Unix()), 1<<32-1)) // #nosec G115 -- bounded
}

func takeRealpath(s *server, r request) error {
	return s.lookAt(r, func(name string) (sftpwire.Encoder, error) {
		real, err := s.r.realPath(name)
		return namePacket(r.id, real), err
	})
}

func takeReadlink(s *server, r request) error {
	return s.lookAt(r, func(name string) (sftpwire.Encoder, error) {
		text, err := s.r.readlink(name)
		return namePacket(r.id, text), err
	})
}

// namePacket is a name without attributes, as the answers to REALPATH and READLINK have it.
func namePacket(id uint32, name string) sftpwire.Encoder {
	p := sftpwire.NewPacket(sftpwire.TypeName)
	p.Uint32(id)
	p.Uint32(1)
	p.String(name)
	p.String(name)
	p.Attributes(sftpwire.Attributes{})
	return p
}

func takeStatvfs(s *server, r request) error {
	return s.lookAt(r, func(name string) (sftpwire.Encoder, error) {
		space, err := s.r.space(name)
		return spacePacket(r.id, space), err
	})
}

// spacePacket is the answer to statvfs@openssh.com.
func spacePacket(id uint32, space vfs.Space) sftpwire.Encoder {
	p := sftpwire.NewPacket(sftpwire.TypeExtendedReply)
	p.Uint32(id)
	for _, v := range []uint64{
		uint64(space.BlockSize), uint64(space.FragmentSize), space.Blocks, space.Free, space.Available, // #nosec G115 -- not negative
		space.Files, space.FreeFiles, space.FreeFiles, 0, // an id that means nothing to anybody else
		uint64(space.Flags), uint64(space.MaxName), // #nosec G115 -- not negative
	} {
		p.Uint64(v)
	}
	return p
}

func takeLimits(s *server, r request) error {
	p := sftpwire.NewPacket(sftpwire.TypeExtendedReply)
	p.Uint32(r.id)
	for _, v := range []uint64{sftpwire.MaxPacket, maxRead, maxRead, maxOpen} {
		p.Uint64(v)
	}
	return s.send(p)
}

func takeMkdir(s *server, r request) error {
	name, attributes := r.String(), r.Attributes()
	mode := uint32(newDirectoryMode)
	if attributes.Flags&sftpwire.AttrPermissions != 0 {
		mode = attributes.Mode & 0o7777 &^ umask
	}
	return s.alter(r, "mkdir", name, func(view *vfs.Session, name string) error { return view.Mkdir(name, mode) })
}

func takeRmdir(s *server, r request) error {
	return s.alter(r, "rmdir", r.String(), func(view *vfs.Session, name string) error { return view.Rmdir(name) })
}

func takeRemove(s *server, r request) error {
	return s.alter(r, "remove", r.String(), func(view *vfs.Session, name string) error { return view.Unlink(name) })
}

// alter has a change of one path decided on.
func (s *server) alter(r request, verb, name string, do func(view *vfs.Session, name string) error) error {
	if err := r.complete(name); err != nil {
		return s.status(r.id, err)
	}
	return s.change(r.id, func() error { return s.r.edit(edit{verb: verb, name: name, do: do}) })
}

func takeSetstat(s *server, r request) error  { return takeAttributes(s, r, true) }
func takeLsetstat(s *server, r request) error { return takeAttributes(s, r, false) }

// takeAttributes sets those of a path: at once where it is an upload of this client's that is still open.
func takeAttributes(s *server, r request, follow bool) error {
	name, attributes := r.String(), r.Attributes()
	if err := r.complete(name); err != nil {
		return s.status(r.id, err)
	}
	return s.setAttributes(r.id, name, attributes, follow)
}

func (s *server) setAttributes(id uint32, name string, attributes sftpwire.Attributes, follow bool) error {
	if u := s.r.uploading(name); u != nil {
		return s.status(id, u.set(attributes))
	}
	return s.change(id, func() error {
		return s.r.edit(edit{verb: "setstat", name: name, do: func(view *vfs.Session, name string) error {
			if attributes.Flags&sftpwire.AttrSize != 0 {
				if err := view.Truncate(name, int64(min(attributes.Size, 1<<62))); err != nil { // #nosec G115 -- bounded
					return err
				}
			}
			return setAttributes(view, name, attributes, follow)
		}})
	})
}

func takeRename(s *server, r request) error      { return takeMove(s, r, "rename", renameNoReplace) }
func takePosixRename(s *server, r request) error { return takeMove(s, r, "posixrename", 0) }

// renameNoReplace is RENAME_NOREPLACE of renameat2(2).
const renameNoReplace = 1

func takeMove(s *server, r request, verb string, flags uint32) error {
	from, to := r.String(), r.String()
	if err := r.complete(from, to); err != nil {
		return s.status(r.id, err)
	}
	return s.change(r.id, func() error {
		return s.r.edit(edit{verb: verb, name: from, other: to, do: func(view *vfs.Session, name string) error {
			here, _, err := s.r.split(from)
			if err != nil {
				return err
			}
			target, to, err := s.r.split(to)
			switch {
			case err != nil || target == nil || to == "/":
				return syscall.EACCES
			case target != here:
				return syscall.EXDEV
			}
			return view.Rename(name, to, flags)
		}})
	})
}

// takeSymlink has the text first and the name after it, as OpenSSH's both sides have it, against the draft.
func takeSymlink(s *server, r request) error {
	text, name := r.String(), r.String()
	if err := r.complete(text, name); err != nil {
		return s.status(r.id, err)
	}
	return s.change(r.id, func() error {
		return s.r.edit(edit{verb: "symlink", name: name, other: text, do: func(view *vfs.Session, name string) error {
			return view.Symlink(text, name)
		}})
	})
}
