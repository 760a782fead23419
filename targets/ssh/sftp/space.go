package sftp

import (
	"context"

	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/vfs"
)

// Statvfs is OpenSSH's extension that describes file systems, see PROTOCOL of OpenSSH, section 4.4.
const Statvfs = "statvfs@openssh.com"

// maxBlock is more than any file system's block has, in bytes.
const maxBlock = 1 << 40

// Space describes the file system that a path leads to. EOPNOTSUPP where the server cannot say.
func (c *Client) Space(ctx context.Context, name string) (vfs.Space, error) {
	if err := checkPath(name); err != nil {
		return vfs.Space{}, err
	}
	if !c.Has(Statvfs) {
		return vfs.Space{}, &StatusError{Code: sftpwire.StatusUnsupported, Message: "the server has no " + Statvfs}
	}
	return beginRaw(ctx, c, sftpwire.TypeExtended, decodeSpace, func(e *sftpwire.Encoder) {
		e.String(Statvfs)
		e.String(name)
	}).Wait(ctx)
}

func decodeSpace(c *Client, r reply) (vfs.Space, error) {
	d, err := c.expect(r, sftpwire.TypeExtendedReply)
	if err != nil {
		return vfs.Space{}, noEOF(err)
	}
	var s vfs.Space
	block, fragment := d.Uint64(), d.Uint64()
	s.Blocks, s.Free, s.Available = d.Uint64(), d.Uint64(), d.Uint64()
	s.Files, s.FreeFiles = d.Uint64(), d.Uint64()
	_, _ = d.Uint64(), d.Uint64() // files for everybody but root, and an id that means nothing here
	flags, longest := d.Uint64(), d.Uint64()
	const readOnly, noSetUser = 1, 2 // ST_RDONLY and ST_NOSUID, as Linux has them
	if d.Bad() || block == 0 || block > maxBlock || fragment == 0 || fragment > maxBlock || longest > maxPath+1 {
		return vfs.Space{}, c.broke("a file system with blocks of %d and %d bytes", block, fragment)
	}
	s.BlockSize, s.FragmentSize, s.MaxName = int64(block), int64(fragment), int64(longest)
	s.Flags = int64(flags & (readOnly | noSetUser))
	return s, nil
}
