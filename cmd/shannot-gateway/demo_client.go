package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/hostkeys"
)

// newDemoClient returns this machine's ssh, or a client of our own where there is none.
func newDemoClient(dir, address string, key hostkeys.Key, goClient bool) (demoClient, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath("ssh")
	if _, nameless := user.Current(); err != nil || nameless != nil || goClient { // ssh serves nobody without a name
		return &builtinClient{dir: dir, address: address, host: key.Signer.PublicKey()}, nil
	}
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(key.KnownHosts("["+host+"]:"+port)+"\n"), 0o600); err != nil {
		return nil, err
	}
	return &opensshClient{path: path, dir: dir, host: host, port: port}, nil
}

// opensshClient is the machine's ssh, with none of its user's configuration.
type opensshClient struct{ path, dir, host, port string }

func (c *opensshClient) run(ctx context.Context, who, line string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	args := []string{
		"-F", "none", "-T", "-i", filepath.Join(c.dir, who), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none",
		"-o", "UserKnownHostsFile=" + filepath.Join(c.dir, "known_hosts"), "-p", c.port, "shannot@" + c.host,
	}
	if line != "" {
		args = append(args, line)
	}
	cmd := exec.CommandContext(ctx, c.path, args...) // #nosec G204 -- ssh, on our own addresses
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() && exit.ExitCode() != 255 {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// builtinClient is a client in Go.
type builtinClient struct {
	dir, address string
	host         gossh.PublicKey
}

func (c *builtinClient) run(ctx context.Context, who, line string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, who))
	if err != nil {
		return 0, err
	}
	signer, err := gossh.ParsePrivateKey(text)
	if err != nil {
		return 0, err
	}
	client, err := gossh.Dial("tcp", c.address, &gossh.ClientConfig{
		User: "shannot", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)},
		HostKeyCallback: gossh.FixedHostKey(c.host), Timeout: 10 * time.Second,
	})
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = client.Close() }()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	session, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	session.Stdin, session.Stdout, session.Stderr = stdin, stdout, stderr
	if line == "" {
		err = session.Shell()
	} else {
		err = session.Start(line)
	}
	if err == nil {
		err = session.Wait()
	}
	var exit *gossh.ExitError
	if errors.As(err, &exit) {
		return exit.ExitStatus(), nil
	}
	return 0, err
}
