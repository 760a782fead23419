package sftp

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/vfs"
)

// Bounds of what a server may send. OpenSSH's handles have 4 bytes.
const (
	maxHandle   = 256 // as the protocol has it
	maxPath     = 4095
	maxName     = 255
	maxVersions = 64 // extensions that a server may announce
)

// ErrProtocol is wrapped by the error that ends a connection to a server that does not keep to the protocol.
var ErrProtocol = errors.New("the SFTP server broke the protocol")

// ErrText is wrapped by the error for a server that begins with text. It is an ErrProtocol.
var ErrText = fmt.Errorf("%w: it sent text", ErrProtocol)

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// Attributes are what a server says of a file.
type Attributes = sftpwire.Attributes

// Info is attributes as a view of files has them. EIO where the server does not say what type of file it is, or gives a
// size that no file has.
func Info(a Attributes) (vfs.Info, error) {
	if a.Flags&sftpwire.AttrPermissions == 0 || a.Mode&syscall.S_IFMT == 0 || a.Size > 1<<62 {
		return vfs.Info{}, syscall.EIO
	}
	info := vfs.Info{
		Mode: a.Mode & (syscall.S_IFMT | 0o7777), Nlink: 1, UID: a.UID, GID: a.GID, Size: int64(a.Size), // #nosec G115 -- bounded above
		Atime: time.Unix(int64(a.Atime), 0), Mtime: time.Unix(int64(a.Mtime), 0), Ctime: time.Unix(int64(a.Mtime), 0),
	}
	info.Blocks = (info.Size + 511) / 512
	return info, nil
}

// Entry is a name in a directory, with what the server says of the file itself.
type Entry struct {
	Name string
	Attributes
}

// readNames decodes a NAME packet. A server that sends a name which no directory can hold is not believed at all.
func readNames(d *sftpwire.Decoder) ([]Entry, error) {
	n := d.Uint32()
	// An entry takes at least two lengths and the flags.
	if d.Bad() || uint64(n)*12 > uint64(len(d.Rest())) {
		return nil, broken("a listing promises %d entries in %d bytes", n, len(d.Rest()))
	}
	out := make([]Entry, 0, n)
	for range n {
		name := d.String()
		d.Bytes() // the long name, for people
		a := d.Attributes()
		if d.Bad() {
			return nil, broken("a listing is cut short")
		}
		out = append(out, Entry{Name: name, Attributes: a})
	}
	return out, nil
}

// validName reports whether a directory can hold the name.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && !strings.ContainsAny(name, "/\x00")
}

// A StatusError is a server's refusal.
type StatusError struct {
	Code    uint32
	Message string // the server's own words, not to be trusted
}

// Error says what the server said.
func (e *StatusError) Error() string {
	return fmt.Sprintf("SFTP status %d: %q", e.Code, e.Message)
}

// Unwrap gives the errno that is nearest to the status.
func (e *StatusError) Unwrap() error {
	switch e.Code {
	case sftpwire.StatusNoSuchFile:
		return syscall.ENOENT
	case sftpwire.StatusPermissionDenied:
		return syscall.EACCES
	case sftpwire.StatusUnsupported:
		return syscall.EOPNOTSUPP
	}
	return syscall.EIO
}

func readStatus(d *sftpwire.Decoder) *StatusError {
	e := &StatusError{Code: d.Uint32()}
	if len(d.Rest()) > 0 { // version 3 has a message, some servers none
		message := d.Bytes()
		e.Message = string(message[:min(len(message), 256)])
	}
	return e
}
