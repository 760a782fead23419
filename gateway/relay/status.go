package relay

import (
	"errors"
	"io"
	"strings"
	"syscall"

	"shannot-gateway/approvals/render"
	"shannot-gateway/internal/sftpwire"
)

// maxText is how much of a reason a status carries, in bytes.
const maxText = 512

// A refusal is an errno with the words that a client shows for it, which must have been rendered.
type refusal struct {
	errno syscall.Errno
	text  string
}

// Error is the words.
func (r *refusal) Error() string { return r.text }

// Unwrap gives the errno.
func (r *refusal) Unwrap() error { return r.errno }

func refused(errno syscall.Errno, text string) error { return &refusal{errno, text} }

// errUnsupported is the answer to what this server does not have.
var errUnsupported = refused(syscall.EOPNOTSUPP, "operation not supported")

// errMessage is the answer to a request that is cut short.
var errMessage = errors.New("bad message")

// statusOf is the answer to a request, of success where err is nil.
func statusOf(id uint32, err error) sftpwire.Encoder {
	code, text := statusCode(err)
	p := sftpwire.NewPacket(sftpwire.TypeStatus)
	p.Uint32(id)
	p.Uint32(code)
	p.String(text)
	p.String("en")
	return p
}

// statusCode turns an error into what version 3 of the protocol can say (draft-ietf-secsh-filexfer-02, section 7).
func statusCode(err error) (code uint32, text string) {
	if err == nil {
		return sftpwire.StatusOK, "Success"
	}
	var r *refusal
	if errors.As(err, &r) {
		text = r.text
	} else {
		text = render.Line(err.Error()).String()
	}
	text = strings.ToValidUTF8(text[:min(len(text), maxText)], "")
	switch {
	case errors.Is(err, io.EOF):
		return sftpwire.StatusEOF, "End of file"
	case errors.Is(err, errMessage):
		return sftpwire.StatusBadMessage, text
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return sftpwire.StatusNoSuchFile, text
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return sftpwire.StatusPermissionDenied, text
	case errors.Is(err, syscall.EOPNOTSUPP):
		return sftpwire.StatusUnsupported, text
	}
	return sftpwire.StatusFailure, text
}
