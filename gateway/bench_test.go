package gateway

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// BenchmarkConnectAndRun is a client of this process: connect, run a one-line script, disconnect.
func BenchmarkConnectAndRun(b *testing.B) {
	r := start(b, "")
	for b.Loop() {
		c, err := r.dial(r.agent)
		if err != nil {
			b.Fatal(err)
		}
		if out, errs, _ := output(b, c, "", "print('hello')"); out != "hello\n" {
			b.Fatalf("%q %q", out, errs)
		}
		_ = c.Close()
	}
}

// BenchmarkOpenSSHClient is the whole of `ssh host < hello.py` with the OpenSSH client, in turns with
// `ssh host python3 - < hello.py` through OpenSSH's own server.
func BenchmarkOpenSSHClient(b *testing.B) {
	client, err := exec.LookPath("ssh")
	if err != nil {
		b.Skip("no OpenSSH client")
	}
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		b.Skip("no OpenSSH server to compare with")
	}
	dir := b.TempDir()
	key := filepath.Join(dir, "key")
	public := writeKey(b, key)
	r := startWithKey(b, public)
	port := startSSHD(b, sshd, dir, public)
	run := func(address string, args ...string) time.Duration {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.CommandContext(b.Context(), client, append([]string{
			"-F", "none", "-i", key, "-p", port, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=no",
			"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", host,
		}, args...)...)
		cmd.Stdin = strings.NewReader("print('hello')")
		from := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != "hello\n" {
			b.Fatalf("%v: %q", err, out)
		}
		return time.Since(from)
	}
	var own, theirs time.Duration
	run(r.address)
	run(port, "python3", "-")
	for b.Loop() {
		own += run(r.address)
		theirs += run(port, "python3", "-")
	}
	b.ReportMetric(float64(own.Milliseconds())/float64(b.N), "gateway-ms/op")
	b.ReportMetric(float64(theirs.Milliseconds())/float64(b.N), "openssh-ms/op")
	b.ReportMetric(float64(own)/float64(theirs), "ratio")
	b.ReportMetric(0, "ns/op")
}

// startWithKey is a gateway whose agent has a given public key.
func startWithKey(tb testing.TB, public string) *running {
	tb.Helper()
	return start(tb, fmt.Sprintf("[identities.bench]\nrole = \"agent\"\nkeys = [%q]\n", public))
}

func writeKey(tb testing.TB, name string) (public string) {
	tb.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		tb.Fatal(err)
	}
	key, err := gossh.NewPublicKey(pub)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))
}

// startSSHD starts OpenSSH's server on a loopback port for the key.
func startSSHD(tb testing.TB, sshd, dir, public string) (address string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	address = l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	hostKey := filepath.Join(dir, "host")
	writeKey(tb, hostKey)
	authorized := filepath.Join(dir, "authorized")
	if err := os.WriteFile(authorized, []byte(public+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	_ = os.MkdirAll("/run/sshd", 0o755)
	cmd := exec.CommandContext(tb.Context(), sshd, "-D", "-e", "-f", "/dev/null", "-p", port, "-h", hostKey, "-o", "ListenAddress=127.0.0.1",
		"-o", "AuthorizedKeysFile="+authorized, "-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "PermitRootLogin=yes",
		"-o", "PidFile=none")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 4096)
	if n, err := stderr.Read(line); err != nil || !strings.Contains(string(line[:n]), "listening") {
		tb.Skipf("OpenSSH's server does not start here: %s", line[:n])
	}
	go func() {
		for {
			if _, err := stderr.Read(line); err != nil {
				return
			}
		}
	}()
	return address
}
