package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"shannot-gateway/approvals/render"
)

// Copy is what a client's scp(1) asks for with -O, the protocol that it spoke before SFTP: `scp -f PATH` wants a file,
// `scp -t PATH` brings one.
type Copy struct {
	Brings    bool // -t
	Recursive bool // -r
	Times     bool // -p: modes and times, too
	Directory bool // -d: the path must be a directory
	Path      string
}

// ParseCopy reads the words after "scp". It reports false where they are none of the protocol's.
func ParseCopy(words []string) (c Copy, ok bool) {
	wants := false
	for len(words) > 1 && strings.HasPrefix(words[0], "-") {
		if words[0] == "--" {
			words = words[1:]
			break
		}
		for _, flag := range words[0][1:] {
			switch flag {
			case 'f':
				wants = true
			case 't':
				c.Brings = true
			case 'r':
				c.Recursive = true
			case 'p':
				c.Times = true
			case 'd':
				c.Directory = true
			case 'v', 'q': // it may talk
			default:
				return c, false
			}
		}
		words = words[1:]
	}
	if len(words) != 1 || wants == c.Brings {
		return c, false
	}
	c.Path = words[0]
	return c, true
}

// Bounds of the protocol.
const (
	maxHeader  = 4096 // bytes of a line
	maxMessage = 512  // bytes of one that says what went wrong
	maxDepth   = 64   // directories in each other
)

// header is a line that announces a file.
type header struct {
	mode uint32
	size int64
	name string
}

var errHeader = errors.New("that is not what scp says")

// parseHeader reads "0644 1234 name", what follows the C of a file.
func parseHeader(line string) (h header, err error) {
	mode, rest, _ := strings.Cut(line, " ")
	size, name, ok := strings.Cut(rest, " ")
	bits, err := strconv.ParseUint(mode, 8, 32)
	if !ok || err != nil || len(mode) != 4 || bits > 0o7777 {
		return h, errHeader
	}
	n, err := strconv.ParseUint(size, 10, 63)
	if err != nil || size != strconv.FormatUint(n, 10) || !plainName(name) {
		return h, errHeader
	}
	return header{uint32(bits), int64(n), name}, nil // #nosec G115 -- 63 bits
}

// parseTimes reads "1700000000 0 1700000000 0", what follows a T: when it was changed, and read.
func parseTimes(line string) (mtime, atime time.Time, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != 4 {
		return mtime, atime, errHeader
	}
	var seconds [4]uint64
	for i, f := range fields {
		if seconds[i], err = strconv.ParseUint(f, 10, 33+i%2); err != nil {
			return mtime, atime, errHeader
		}
	}
	return time.Unix(int64(seconds[0]), 0), time.Unix(int64(seconds[2]), 0), nil // #nosec G115 -- 33 bits
}

// plainName reports whether a name is one of a file in a directory, and can stand in a line.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.Contains(name, "/") &&
		strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// copier serves one scp.
type copier struct {
	*relay
	Copy
	in     *bufio.Reader
	out    io.Writer
	failed bool // the client was told of something
}

// errTold ends the work on one file: the client knows why.
var errTold = errors.New("the client was told")

// ServeCopy serves one scp until it has what it wants. ok is false where the gateway refused something of it, and told
// the client.
func ServeCopy(ctx context.Context, channel io.ReadWriter, o Options, q Copy) (ok bool, err error) {
	asking, gone := context.WithCancel(ctx)
	defer gone()
	r := newRelay(asking, o)
	defer r.close()
	// Read ahead, so that a client that leaves while a human is asked is noticed.
	ahead, pump := io.Pipe()
	defer func() { _ = ahead.Close() }()
	go func() {
		_, err := io.Copy(pump, channel) // ends with the channel, or with the next piece after the end of ahead
		gone()
		_ = pump.CloseWithError(err)
	}()
	c := &copier{relay: r, Copy: q, in: bufio.NewReaderSize(ahead, maxHeader), out: channel}
	if q.Brings {
		err = c.receive()
	} else if err = c.answer(); err == nil {
		err = c.send(q.Path, 0)
	}
	if errors.Is(err, errTold) || errors.Is(err, io.EOF) {
		err = nil
	}
	return !c.failed && err == nil, err
}

// refuse tells the client what went wrong with a file.
func (c *copier) refuse(name string, err error) error {
	c.failed = true
	text := render.Line("scp: " + name + ": " + err.Error()).String()
	text = strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")
	if _, err := fmt.Fprintf(c.out, "\x01%s\n", text); err != nil {
		return err
	}
	return errTold
}

// agree tells the client to go on.
func (c *copier) agree() error {
	_, err := c.out.Write([]byte{0})
	return err
}

// answer takes the client's word on what was sent. errTold where it does not want the file.
func (c *copier) answer() error {
	b, err := c.in.ReadByte()
	if err != nil || b == 0 {
		return err
	}
	if b != 1 {
		return errHeader // it ends the copy, or is none of scp's
	}
	c.failed = true
	if _, err := c.line(); err != nil {
		return err
	}
	return errTold
}

// line reads up to the next end of a line.
func (c *copier) line() (string, error) {
	text, err := c.in.ReadSlice('\n')
	if err != nil {
		return "", errHeader
	}
	return string(text[:len(text)-1]), nil
}

// say sends a line, and takes the client's word on it.
func (c *copier) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(c.out, format+"\n", args...); err != nil {
		return err
	}
	return c.answer()
}
