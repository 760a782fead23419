package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
)

// The control socket is how local commands speak with a running gateway. It is in a directory of the state directory that
// its user alone can enter. A client sends one line with one word, and gets one line with a JSON object.
const (
	controlFolder = "control"
	controlSocket = "socket"
	controlReload = "reload" // take up the configuration as it is now
	controlState  = "state"  // say what is in force
)

const (
	// controlPatience is how long a client waits for the gateway's answer, and may take to read it. A reload reads files.
	controlPatience = 60 * time.Second
	// controlWord is how long a client may take to say what it wants: others, and the gateway's end, wait for it.
	controlWord = 5 * time.Second
	// maxControl bounds a line on the socket, in bytes.
	maxControl = 1 << 20
	// maxSocketPath is what the kernel takes as a socket's name, in bytes with the last zero: sun_path of unix(7).
	maxSocketPath = 108
)

// errNoGateway says that no gateway answers.
var errNoGateway = errors.New("no gateway runs with this state directory")

// controlAnswer is what the gateway says on its control socket.
type controlAnswer struct {
	File   string `json:"file"`   // of the configuration in force
	SHA256 string `json:"sha256"` // of its text
	// Refused is why what is in force is not the newest configuration, and RefusedAt since when; "" where it is.
	Refused   string   `json:"refused,omitempty"`
	RefusedAt string   `json:"refused_at,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Restart   []string `json:"restart,omitempty"` // of a reload: what has changed and takes effect at the next start only
}

// control serves the socket.
type control struct {
	listener net.Listener
	name     string
	folder   *os.File
	clients  sync.WaitGroup
}

// listenControl makes the socket in a state directory that this process alone uses. It replaces one that an earlier
// gateway has left behind.
func listenControl(state string, answer func(word string) controlAnswer) (*control, error) {
	folder := filepath.Join(state, controlFolder)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if info, err := os.Lstat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", folder)
	}
	if err := os.Chmod(folder, 0o700); err != nil { // #nosec G302 -- a directory
		return nil, err
	}
	name := filepath.Join(folder, controlSocket)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	address, opened, err := socketAddress(folder)
	if err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		_ = opened.Close()
		return nil, err
	}
	l.SetUnlinkOnClose(false) // close does, by the name that it has
	if err := os.Chmod(name, 0o600); err != nil {
		return nil, errors.Join(err, l.Close(), opened.Close())
	}
	c := &control{listener: l, name: name, folder: opened}
	c.clients.Go(func() { c.serve(answer) })
	return c, nil
}

// socketAddress is a name of the socket that is short enough for the kernel, as long as the folder is open.
func socketAddress(folder string) (string, *os.File, error) {
	opened, err := os.Open(folder) // #nosec G304 -- of the state directory
	if err != nil {
		return "", nil, err
	}
	name := filepath.Join(folder, controlSocket)
	if len(name) >= maxSocketPath {
		name = fmt.Sprintf("/proc/self/fd/%d/%s", opened.Fd(), controlSocket)
	}
	return name, opened, nil
}

// serve answers one client after the other: all of them are the operator's.
func (c *control) serve(answer func(word string) controlAnswer) {
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as no descriptor being left
			time.Sleep(100 * time.Millisecond)
			continue
		}
		_ = conn.SetReadDeadline(time.Now().Add(controlWord))
		_ = conn.SetWriteDeadline(time.Now().Add(controlPatience))
		line, err := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
		if word := strings.TrimSpace(line); err == nil && (word == controlReload || word == controlState) {
			_ = render.JSON(conn, answer(word))
		}
		_ = conn.Close()
	}
}

func (c *control) close() error {
	err := errors.Join(os.Remove(c.name), c.listener.Close())
	c.clients.Wait()
	return errors.Join(err, c.folder.Close())
}

// askGateway sends a word to the gateway that runs with a state directory. errNoGateway where there is none.
func askGateway(ctx context.Context, state, word string) (a controlAnswer, err error) {
	address, opened, err := socketAddress(filepath.Join(state, controlFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("%w: %s", errNoGateway, state)
	}
	if err != nil {
		return a, err
	}
	defer func() { _ = opened.Close() }()
	ctx, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", address)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return a, fmt.Errorf("%w: %s", errNoGateway, state)
	}
	if err != nil {
		return a, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintln(conn, word); err != nil {
		return a, err
	}
	line, err := io.ReadAll(io.LimitReader(conn, maxControl))
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		return a, fmt.Errorf("the gateway does not answer as it should: %w", err)
	}
	return a, nil
}

// reloadCommand is `reload [--config FILE] [--state DIR]`.
func (p *program) reloadCommand() *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use:   "reload [--config FILE] [--state DIR]",
		Short: "make the server that runs take up its configuration",
		Long: `Makes the server that runs take up its configuration, or says why it does not: then the one before stays in force and the ` +
			`exit status is 1. What takes effect at the next start only is named.`,
		Example: "shannot-gateway reload",
	}
	where.flags(cmd)
	return p.does(cmd, func(ctx context.Context, _ []string) int { return p.askReload(ctx, where) })
}

// askReload makes the gateway that runs take up its configuration, or fails and says why it does not.
func (p *program) askReload(ctx context.Context, where place) int {
	if where.state == "" {
		where.state = stateOf(where.config)
	}
	a, err := askGateway(ctx, where.state, controlReload)
	if err != nil {
		return p.fail(err)
	}
	for _, w := range a.Warnings {
		_, _ = fmt.Fprintf(p.stderr, "warning: %s\n", render.Line(w))
	}
	if a.Refused != "" {
		return p.fail(fmt.Errorf("the configuration was not reloaded, the one before stays in force: %s", render.Line(a.Refused)))
	}
	if len(a.Restart) > 0 {
		_, _ = fmt.Fprintf(p.stderr, "at the next start only: %s\n", strings.Join(a.Restart, ", "))
	}
	_, _ = fmt.Fprintf(p.stdout, "reloaded %s (sha256 %s)\n", render.Line(a.File), a.SHA256)
	return exitOK
}

// stateOf is the state directory that a configuration names. A gateway has to be told of a file that does not load, too,
// so it finds it even then.
func stateOf(file string) string {
	c, err := loadConfig(file, "", "")
	if err == nil {
		return c.State
	}
	if file == "" {
		if file, err = defaultConfig(); err != nil {
			return config.DefaultState
		}
	}
	return config.StateOf(file)
}
