package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

// host is a server, and who connects to it.
type host struct {
	b            *bench
	address, key string
	control      string // the socket of a connection that stands, "" for none
}

// flags are what ssh and scp need to connect; portFlag differs between them.
func (h *host) flags(portFlag string) []string {
	_, port, _ := net.SplitHostPort(h.address)
	flags := []string{"-F", "none", portFlag, port, "-i", filepath.Join(h.b.dir, h.key)}
	for _, o := range []string{"IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"} {
		flags = append(flags, "-o", o)
	}
	if h.control != "" {
		flags = append(flags, "-o", "ControlPath="+h.control)
	}
	return flags
}

// shared returns the same server over a connection that stands until leave.
func (h *host) shared(ctx context.Context) (*host, error) {
	s := *h
	s.control = filepath.Join(h.b.dir, "control")
	if out, err := exec.CommandContext(ctx, "ssh", append(s.flags("-p"), "-M", "-f", "-N", "127.0.0.1")...).CombinedOutput(); err != nil { // #nosec G204 -- the client that measures
		return nil, fmt.Errorf("share a connection: %w: %s", err, out)
	}
	return &s, nil
}

func (h *host) leave() {
	_ = exec.Command("ssh", append(h.flags("-p"), "-O", "exit", "127.0.0.1")...).Run() // #nosec G204 -- with flags of this program's own
}

// output runs ssh with a text on its standard input.
func (h *host) output(ctx context.Context, stdin string, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, "ssh", append(append(h.flags("-p"), "127.0.0.1"), args...)...), stdin) // #nosec G204 -- the client that measures
}

func (h *host) run(ctx context.Context, stdin string, args ...string) error {
	_, err := h.output(ctx, stdin, args...)
	return err
}

func (h *host) scp(ctx context.Context, from, to string) error {
	_, err := output(exec.CommandContext(ctx, "scp", append(h.flags("-P"), "127.0.0.1:"+from, to)...), "") // #nosec G204 -- the client that measures
	return err
}

// python runs a script in this machine's own interpreter.
func (b *bench) python(ctx context.Context, text string) (string, error) {
	return output(exec.CommandContext(ctx, python, "-"), text)
}

func output(cmd *exec.Cmd, stdin string) (string, error) {
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, stderr.String())
	}
	return string(out), nil
}
