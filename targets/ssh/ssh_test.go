package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"shannot-gateway/hostkeys"
	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
)

// hopTo is the way to a test's server, with its key known.
func hopTo(s *sshdtest.Server, name string) Hop {
	return Hop{
		Name: name, Host: s.Host, Port: s.Port, User: s.User, Login: Login{Key: s.Client},
		Known: hostkeys.KnownOptions{Target: name, Fingerprints: []string{s.Fingerprint()}},
	}
}

func newTarget(t testing.TB, hops ...Hop) *Target {
	t.Helper()
	target := New(Options{Hops: hops, Timeout: 10 * time.Second})
	t.Cleanup(func() { _ = target.Close() })
	return target
}

func connect(t testing.TB, s *sshdtest.Server) *Target {
	t.Helper()
	target := newTarget(t, hopTo(s, "prod"))
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return target
}

func TestConnectLearnsTheAccountAndTheKernel(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	a := target.Account()
	if a.Name != me.Username || a.Home != me.HomeDir || int(a.UID) != os.Getuid() || a.Shell == "" {
		t.Errorf("the account is %+v, want %+v", a, me)
	}
	var host unix.Utsname // the server is this machine's own
	if err := unix.Uname(&host); err != nil {
		t.Fatal(err)
	}
	want := targets.Uname{
		Sysname: unix.ByteSliceToString(host.Sysname[:]), Release: unix.ByteSliceToString(host.Release[:]), Machine: unix.ByteSliceToString(host.Machine[:]),
	}
	if u := target.Uname(); u.Sysname != want.Sysname || u.Machine != want.Machine || u.Release != want.Release {
		t.Errorf("the kernel is %+v, want %+v", u, want)
	}
}

func TestHostKeysAreCheckedBeforeAnythingIsSent(t *testing.T) {
	s := sshdtest.Start(t)
	other := sshdtest.NewKey(t, filepath.Join(t.TempDir(), "other"))
	known := filepath.Join(t.TempDir(), "known_hosts")
	write := func(text string) {
		if err := os.WriteFile(known, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, hop Hop, want ...string) {
		t.Helper()
		err := newTarget(t, hop).Connect(t.Context())
		if len(want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) {
			t.Fatalf("%s: %v, want an UnreachableError", name, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not hold %q", name, err, w)
			}
		}
	}
	hop := hopTo(s, "prod")
	const trust = "shannot-gateway targets trust prod"
	check("the pinned key", hop)
	hop.Known.Fingerprints = nil
	check("an unknown key", hop, "not known", s.Fingerprint(), trust)
	hop.Known.Fingerprints = []string{fingerprint(other)}
	check("another pinned key", hop, "changed", s.Fingerprint(), fingerprint(other), trust)
	hop.Known.Fingerprints, hop.Known.Files = nil, []string{known}
	write(s.KnownHosts())
	check("known_hosts", hop)
	write(hashedLine(s))
	check("hashed known_hosts", hop)
	write(strings.Replace(s.KnownHosts(), keyText(s.HostKey), keyText(other), 1))
	check("another key in known_hosts", hop, "changed", s.Fingerprint(), fingerprint(other), trust)
	write("@revoked * " + keyText(s.HostKey) + "\n" + s.KnownHosts())
	check("a revoked key", hop, "revoked", s.Fingerprint())
	hop.Known.Fingerprints = []string{s.Fingerprint()}
	check("a pinned key that is revoked", hop, "revoked", s.Fingerprint())
	write("this is no line\n")
	check("a file that is not understood", hop, "known hosts")
}

// A host that shows a certificate is known by who signed it, for the names and the time that it is good for.
func TestHostCertificatesAreCheckedAgainstTheirAuthority(t *testing.T) {
	s := sshdtest.Start(t)
	authority := func() gossh.Signer {
		name := filepath.Join(t.TempDir(), "authority")
		sshdtest.NewKey(t, name)
		signer, err := hostkeys.ReadPrivate(name)
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	ours, theirs := authority(), authority()
	certify := func(by gossh.Signer, change func(*gossh.Certificate)) {
		t.Helper()
		now := time.Now()
		c := &gossh.Certificate{
			Key: s.HostKey, CertType: gossh.HostCert, KeyId: "host", ValidPrincipals: []string{s.Host},
			ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
		}
		change(c)
		if err := c.SignCert(randomReader(), by); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, "host-cert.pub"), gossh.MarshalAuthorizedKey(c), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certify(ours, func(*gossh.Certificate) {})
	if err := s.Configure("HostCertificate " + filepath.Join(s.Dir, "host-cert.pub")); err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	trust := func(text string) {
		t.Helper()
		if err := os.WriteFile(known, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hop := hopTo(s, "prod")
	hop.Known.Fingerprints, hop.Known.Files = nil, []string{known}
	trusted := fmt.Sprintf("@cert-authority [%s]:%d %s\n", s.Host, s.Port, keyText(ours.PublicKey()))
	trust(trusted)
	if err := newTarget(t, hop).Connect(t.Context()); err != nil {
		t.Errorf("a certificate of the authority: %v", err)
	}
	refused := func(what, want string) {
		t.Helper()
		var unreachable *UnreachableError
		if err := newTarget(t, hop).Connect(t.Context()); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	trust(trusted + "@revoked * " + keyText(ours.PublicKey()) + "\n")
	refused("a revoked authority", "host")
	trust(fmt.Sprintf("@cert-authority other.example.com %s\n", keyText(ours.PublicKey())))
	refused("an authority for other hosts", "prod")
	trust(trusted)
	certify(theirs, func(*gossh.Certificate) {})
	refused("another authority", "prod")
	certify(ours, func(c *gossh.Certificate) { c.ValidPrincipals = []string{"other.example.com"} })
	refused("a certificate for another host", "not good")
	certify(ours, func(c *gossh.Certificate) { c.ValidBefore = c.ValidAfter + 60 })
	refused("a certificate whose time is over", "not good")
	certify(ours, func(c *gossh.Certificate) { c.CertType = gossh.UserCert })
	refused("a user's certificate", "prod")
	certify(ours, func(*gossh.Certificate) {})
	if err := newTarget(t, hop).Connect(t.Context()); err != nil {
		t.Errorf("a good one again: %v", err)
	}
}

func TestAChangedHostKeyEndsNewConnectionsOnly(t *testing.T) {
	s := sshdtest.Start(t)
	target := connect(t, s)
	before := s.Fingerprint()
	if err := s.NewHostKey(); err != nil {
		t.Fatal(err)
	}
	if err := target.Connect(t.Context()); err != nil {
		t.Errorf("the connection that stands: %v", err)
	}
	s.Drop()
	var key *hostkeys.HostKeyError
	view := target.View(targets.ViewOptions{})
	defer func() { _ = view.Close() }()
	if _, err := view.Lstat("/"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("Lstat: %v, want EHOSTUNREACH", err)
	}
	if err := target.Connect(t.Context()); !errors.As(err, &key) || !key.Changed || !slices.Contains(key.Expected, before) {
		t.Errorf("a new connection: %v, want a changed key", err)
	}
}

func TestJumpHostsAreGoneThrough(t *testing.T) {
	bastion, inner := sshdtest.Start(t), sshdtest.Start(t)
	target := newTarget(t, hopTo(bastion, "bastion"), hopTo(inner, "prod"))
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if bastion.Connections() != 1 || inner.Connections() != 1 {
		t.Errorf("%d and %d connections, want 1 and 1", bastion.Connections(), inner.Connections())
	}
	// A jump host whose key is not known is no way.
	hop := hopTo(bastion, "bastion")
	hop.Known.Fingerprints = nil
	err := newTarget(t, hop, hopTo(inner, "prod")).Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "jump host bastion") || !strings.Contains(err.Error(), "targets trust bastion") {
		t.Errorf("an unknown jump host: %v", err)
	}
}

// trusting is a server that takes nothing but certificates of a new authority, and the way to it.
func trusting(t *testing.T, lines ...string) (*sshdtest.Server, Hop) {
	t.Helper()
	s := sshdtest.Start(t)
	ca, err := hostkeys.LoadOwn(filepath.Join(t.TempDir(), "ca"), "ca", randomReader())
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(s.Dir, "ca.pub")
	if err := os.WriteFile(trusted, authorized(ca.Signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(append(lines, "TrustedUserCAKeys "+trusted)...); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.Dir, "authorized_keys")); err != nil {
		t.Fatal(err)
	}
	hop := hopTo(s, "prod")
	hop.Login = Login{Authority: ca.Signer}
	return s, hop
}

func TestCertificatesOfTheGatewaysAuthorityLogIn(t *testing.T) {
	_, hop := trusting(t)
	if err := newTarget(t, hop).Connect(t.Context()); err != nil {
		t.Errorf("a certificate: %v", err)
	}
	hop.Login.Source = "192.0.2.1" // not where the connection comes from
	if err := newTarget(t, hop).Connect(t.Context()); err == nil {
		t.Error("a certificate for another source address was taken")
	}
	hop.Login.Source = ""
	// A certificate whose time is over.
	late := New(Options{Hops: []Hop{hop}, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	defer func() { _ = late.Close() }()
	if err := late.Connect(t.Context()); err == nil {
		t.Error("an expired certificate was taken")
	}
	hop.User = "somebody-else"
	if err := newTarget(t, hop).Connect(t.Context()); err == nil {
		t.Error("a certificate of one user logged in another")
	}
}

func TestCertificatesAllowCommandsAndNothingElse(t *testing.T) {
	_, hop := trusting(t)
	now := time.Now()
	signer, err := hop.Login.certificate(hop.User, keyID("prod", use("claude", "b24km0eh")), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 22}, now)
	if err != nil {
		t.Fatal(err)
	}
	c := signer.PublicKey().(*gossh.Certificate)
	if c.CertType != gossh.UserCert || c.Key.Type() != gossh.KeyAlgoED25519 || c.SignatureKey.Type() != gossh.KeyAlgoED25519 {
		t.Errorf("type %d, keys %s and %s", c.CertType, c.Key.Type(), c.SignatureKey.Type())
	}
	if c.KeyId != "shannot-gateway/prod/claude/b24km0eh" || !slices.Equal(c.ValidPrincipals, []string{hop.User}) {
		t.Errorf("key id %q, principals %q", c.KeyId, c.ValidPrincipals)
	}
	if len(c.Extensions) != 0 || len(c.CriticalOptions) != 1 || c.CriticalOptions["source-address"] != "192.0.2.7" {
		t.Errorf("extensions %v, options %v", c.Extensions, c.CriticalOptions)
	}
	hop.Login.Forwards = true // a jump host
	signer, err = hop.Login.certificate(hop.User, keyID("bastion", use("claude", "b24km0eh")), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	jump := signer.PublicKey().(*gossh.Certificate)
	if _, ok := jump.Extensions["permit-port-forwarding"]; !ok || len(jump.Extensions) != 1 {
		t.Errorf("for a jump host, extensions %v", jump.Extensions)
	}
	if life := int64(c.ValidBefore) - now.Unix(); life <= 0 || life > 600 { // #nosec G115 -- this century
		t.Errorf("good for %d s", life)
	}
}

// A name may hold what would end a line of the target's log, or look like more of it.
func TestKeyIDsHoldNothingButPlainWords(t *testing.T) {
	got := keyID("prod", use("x\nAccepted publickey for root", strings.Repeat("y", 500)))
	if want := "shannot-gateway/prod/x_Accepted_publickey_for_root/" + strings.Repeat("y", 64); got != want {
		t.Errorf("key id %q", got)
	}
	if got := keyID("prod", use("", "")); got != "shannot-gateway/prod/-/check" {
		t.Errorf("the gateway's own: %q", got)
	}
}

// logins counts the logins in a server's log by their key ids.
func logins(s *sshdtest.Server) map[string]int {
	found := map[string]int{}
	for _, m := range regexp.MustCompile(`Accepted publickey for \S+ from .* ID (\S+) \(serial \d+\)`).FindAllStringSubmatch(s.Log(), -1) {
		found[m[1]]++
	}
	return found
}

func TestSessionsLogInByCertificatesOfTheirOwn(t *testing.T) {
	s, hop := trusting(t, "LogLevel VERBOSE")
	target := newTarget(t, hop)
	if err := target.For("claude", "").Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, two := target.For("claude", "b24km0eh"), target.For("claude", "z9pq2r3t")
	for _, session := range []targets.Remote{one, two} {
		if err := session.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := viewOf(t, session, targets.ViewOptions{}).Lstat("/etc"); err != nil {
			t.Fatal(err)
		}
	}
	if one.(*Target).pool == two.(*Target).pool {
		t.Error("two sessions share connections")
	}
	// A connection that breaks is replaced by one of the same session.
	s.Drop()
	s.Ended()
	if out, _, _ := run(t, one, sh("echo again")); out != "again\n" {
		t.Errorf("after the connection broke: %q", out)
	}
	// A session that has ended has no connection any more, and makes none; its neighbours have theirs.
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Start(t.Context(), sh("echo late")); err == nil {
		t.Error("a command of a session that has ended was started")
	}
	if err := two.Connect(t.Context()); err != nil {
		t.Errorf("another session: %v", err)
	}
	_ = target.Close()
	s.Ended()
	got := logins(s)
	want := map[string]int{
		"shannot-gateway/prod/claude/check": 1, "shannot-gateway/prod/claude/b24km0eh": 2, "shannot-gateway/prod/claude/z9pq2r3t": 2,
	}
	if !maps.Equal(got, want) {
		t.Errorf("logins %v, want %v\n%s", got, want, s.Log())
	}
}

// With a key there is nothing to tell sessions apart by: an identity's sessions share their connections, and nobody else's.
func TestSessionsOfOneIdentityShareConnections(t *testing.T) {
	s := sshdtest.Start(t)
	target := newTarget(t, hopTo(s, "prod"))
	for i, use := range [][2]string{{"claude", "a"}, {"claude", "b"}, {"gpt", "c"}, {"gpt", ""}} {
		session := target.For(use[0], use[1])
		if err := session.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := session.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := s.Connections(), 1+i/2; got != want {
			t.Errorf("after %v: %d connections, want %d", use, got, want)
		}
	}
}

// Whoever uses a target, also without a name, ends no other's connections with their own.
func TestTheEndOfOneUseIsNoOthers(t *testing.T) {
	s := sshdtest.Start(t)
	target := newTarget(t, hopTo(s, "prod"))
	for _, use := range [][2]string{{"", ""}, {"", "a"}, {"claude", ""}, {"claude", "a"}} {
		session := target.For(use[0], use[1])
		if err := session.Close(); err != nil {
			t.Fatal(err)
		}
		for _, other := range []targets.Remote{target, target.For("", ""), target.For("claude", "b")} {
			if err := other.Connect(t.Context()); err != nil {
				t.Errorf("after the end of %v: %v", use, err)
			}
		}
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	for _, late := range []targets.Remote{target, target.For("claude", "b"), target.For("new", "c")} {
		if err := late.Connect(t.Context()); err == nil {
			t.Error("the target is connected to after its end")
		}
	}
}

// A target that has left the configuration keeps no connection for a next use, and takes none from who uses it still.
func TestARetiredTargetEndsWithItsLastUse(t *testing.T) {
	s := sshdtest.Start(t)
	target := newTarget(t, hopTo(s, "prod"))
	idle, busy := target.For("claude", "a"), target.For("gpt", "b")
	for _, use := range []targets.Remote{idle, busy} {
		if err := use.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p, out := started(t, t.Context(), busy.(*Target), "echo ready; exec sleep 600")
	out.want(t, "ready")
	target.Retire()
	if n := target.Connections().Open; n != 1 {
		t.Errorf("%d connections are left, want the one that is used", n)
	}
	// What has begun goes on, and asks for more.
	if _, err := busy.Files().Lstat("/"); err != nil {
		t.Error(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if exit, err := p.Wait(); err != nil || exit.Signal != syscall.SIGTERM {
		t.Errorf("%+v, %v", exit, err)
	}
	s.Ended()
}

// A target that is down is not tried by one session after the other.
func TestSessionsShareTheWaitForATargetThatIsDown(t *testing.T) {
	_, hop := trusting(t)
	c := &clock{now: time.Now()}
	tried := 0
	target := New(Options{Hops: []Hop{hop}, Now: c.Now, Dial: func(context.Context, string, string) (net.Conn, error) {
		tried++
		return nil, syscall.ECONNREFUSED
	}})
	defer func() { _ = target.Close() }()
	for _, session := range []string{"a", "b", "c"} {
		err := target.For("claude", session).Connect(t.Context())
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	}
	if tried != 1 {
		t.Errorf("it was tried %d times", tried)
	}
	if got := target.Connections(); got.Open != 0 || !errors.Is(got.Problem, syscall.ECONNREFUSED) {
		t.Errorf("%+v", got)
	}
	c.add(firstBackoff)
	target.dialer.dial = (&net.Dialer{}).DialContext
	session := target.For("claude", "d")
	if err := session.Connect(t.Context()); err != nil {
		t.Error(err)
	}
	if got := target.Connections(); got.Open != 1 || got.Channels != 0 || got.Problem != nil {
		t.Errorf("%+v", got)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if got := target.Connections(); got.Open != 0 {
		t.Errorf("after its end: %+v", got)
	}
}

func TestFailedAttemptsAreNotRepeatedAtOnce(t *testing.T) {
	s := sshdtest.Start(t)
	hop := hopTo(s, "prod")
	hop.Login.Key = filepath.Join(t.TempDir(), "stranger")
	sshdtest.NewKey(t, hop.Login.Key)
	now := time.Now()
	target := New(Options{Hops: []Hop{hop}, Now: func() time.Time { return now }})
	defer func() { _ = target.Close() }()
	for range 5 {
		if err := target.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "log in") {
			t.Fatalf("a key that the target does not know: %v", err)
		}
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	now = now.Add(time.Second)
	if err := target.Connect(t.Context()); err == nil {
		t.Error("it connected")
	}
	if n := s.Connections(); n != 2 {
		t.Errorf("%d attempts after the pause, want 2", n)
	}
}

// A view holds an SFTP channel, of which a connection has only so many.
func TestMoreChannelsThanAConnectionHasTakeAnother(t *testing.T) {
	s := sshdtest.Start(t, "MaxSessions 3")
	target := connect(t, s)
	for i := range 8 {
		view := target.View(targets.ViewOptions{})
		defer func() { _ = view.Close() }()
		if _, err := view.Lstat("/"); err != nil {
			t.Fatalf("view %d: %v", i+1, err)
		}
	}
	if n := s.Connections(); n != 3 {
		t.Errorf("%d connections for 8 channels of at most 3, want 3", n)
	}
}

func TestFilesOnlyTargetsCanBeRead(t *testing.T) {
	s := sshdtest.Start(t, "ForceCommand internal-sftp")
	target := connect(t, s)
	if target.Account().Name != s.User {
		t.Errorf("the account is %+v", target.Account())
	}
	fd, err := target.Files().Open("/etc/passwd", syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Close(fd)
}

func run(t testing.TB, target targets.Target, c targets.Command) (stdout, stderr string, exit targets.Exit) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if c.Dir == "" {
		c.Dir = "/"
	}
	p, err := target.Start(t.Context(), c)
	if err != nil {
		t.Fatalf("start %q: %v", c.Argv, err)
	}
	if exit, err = p.Wait(); err != nil {
		t.Fatalf("%q: %v", c.Argv, err)
	}
	return out.String(), errs.String(), exit
}

func sh(text string) targets.Command {
	return targets.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", text}, Env: []string{"PATH=" + targets.Path}}
}

func TestCommandsGetExactlyTheirWords(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	words := []string{
		"plain", "", " ", "two words", "it's", "''", `"`, `\`, `\\`, `\'`, "$HOME", "`id`", "$(id)", "a;b", "a&b", "a|b", "*", "~",
		"!x", "-n", "--", "#c", "new\nline", "tab\t", "\r", "ünïcode", "\xff\xfe", "{a,b}", "<in", ">out", "\x01\x7f", "%s%d\\n", "=", "a=b",
	}
	script := `for w in "$@"; do printf '%s\0' "$w"; done`
	c := targets.Command{Path: "/bin/sh", Argv: append([]string{"sh", "-c", script, "sh"}, words...)}
	out, errs, exit := run(t, target, c)
	if got := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"); !slices.Equal(got, words) || errs != "" || exit.Code != 0 {
		t.Errorf("%q, stderr %q, %+v", got, errs, exit)
	}
}

func TestCommandsGetTheirEnvironmentAndNoOther(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	want := []string{"A=1", "B=it's two\nlines", "C=", "PATH=/bin:/usr/bin", "X=a=b"}
	out, _, _ := run(t, target, targets.Command{Path: "/usr/bin/env", Argv: []string{"env", "-0"}, Env: want})
	if got := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCommandsHaveDirectoryStreamsAndStatus(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	dir := filepath.Join(t.TempDir(), "it's a dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := sh("pwd; echo err >&2; cat; exit 7")
	c.Dir, c.Stdin = dir, strings.NewReader("input\n")
	out, errs, exit := run(t, target, c)
	if out != dir+"\ninput\n" || errs != "err\n" || exit != (targets.Exit{Code: 7}) {
		t.Errorf("stdout %q, stderr %q, %+v", out, errs, exit)
	}
	if out, errs, _ := run(t, target, sh("cat; echo end")); out != "end\n" || errs != "" {
		t.Errorf("without input: %q, %q", out, errs)
	}
	if _, _, exit := run(t, target, sh("kill -TERM $$")); exit.Signal != syscall.SIGTERM {
		t.Errorf("a command that a signal ended: %+v", exit)
	}
	for dir, want := range map[string]error{"/no/such/dir": syscall.ENOENT, "/etc/passwd": syscall.ENOTDIR} {
		if _, err := target.Start(t.Context(), targets.Command{Path: "/bin/true", Argv: []string{"true"}, Dir: dir}); !errors.Is(err, want) {
			t.Errorf("in %s: %v, want %v", dir, err, want)
		}
	}
}

func TestOneStreamForBothKeepsTheOrder(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	var both bytes.Buffer
	c := sh("for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done")
	c.Dir, c.Stdout, c.Stderr = "/", &both, &both
	p, err := target.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, i := range "12345" {
		want += "out" + string(i) + "\nerr" + string(i) + "\n"
	}
	if both.String() != want {
		t.Errorf("%q", both.String())
	}
}

// lines gives a command's output line by line.
func started(t *testing.T, ctx context.Context, target *Target, text string) (targets.Process, *lineReader) {
	t.Helper()
	r, w := io.Pipe()
	c := sh(text)
	c.Dir, c.Stdout = "/", w
	p, err := target.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = p.Wait()
		_ = w.Close()
	}()
	return p, newLineReader(r)
}

func TestSignalsReachTheWholeGroup(t *testing.T) {
	for _, by := range []string{"request", "command"} {
		t.Run(by, func(t *testing.T) {
			target := connect(t, sshdtest.Start(t))
			p, out := started(t, t.Context(), target, `sh -c 'trap "echo child; exit" TERM; echo ready; while :; do sleep 0.1; done' & trap "wait; exit 3" TERM; wait`)
			out.want(t, "ready")
			if by == "request" {
				if err := p.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			} else if err := p.(*process).killGroup(t.Context(), "TERM"); err != nil {
				t.Fatal(err)
			}
			out.want(t, "child")
			if exit, err := p.Wait(); err != nil || exit.Code != 3 {
				t.Errorf("%+v, %v", exit, err)
			}
		})
	}
}

func TestTheEndOfTheContextKillsTheGroup(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	ctx, cancel := context.WithCancel(t.Context())
	alive := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	// The child holds the FIFO open: its end is the end of the file.
	p, out := started(t, ctx, target, `sh -c 'trap "" TERM HUP INT; exec 9>'`+alive+`'; echo ready; while :; do sleep 0.1; done' & wait`)
	f, err := os.Open(alive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	out.want(t, "ready")
	cancel()
	if exit, err := p.Wait(); err != nil || exit.Signal != syscall.SIGKILL {
		t.Errorf("%+v, %v; want SIGKILL", exit, err)
	}
	if _, err := io.ReadAll(f); err != nil {
		t.Error(err)
	}
}

func TestALostConnectionLeavesACommandUnknown(t *testing.T) {
	s := sshdtest.Start(t)
	target := connect(t, s)
	ran := filepath.Join(t.TempDir(), "ran")
	p, out := started(t, t.Context(), target, "echo x >> "+ran+"; echo ready; exec sleep 2")
	out.want(t, "ready")
	s.Drop()
	if _, err := p.Wait(); !errors.Is(err, targets.ErrLost) {
		t.Errorf("%v, want ErrLost", err)
	}
	// The next one has a connection of its own, and the lost one was not started again.
	if out, _, _ := run(t, target, sh("cat "+ran)); out != "x\n" {
		t.Errorf("it ran as often as this says: %q", out)
	}
}

func TestResolveFollowsTheFixedPath(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, dir string
		want      string
		err       error
	}{
		{"env", "/", "/usr/bin/env", nil},
		{"no-such-program", "/", "", syscall.ENOENT},
		{"./tool", dir, dir + "/tool", nil},
		{dir + "/tool", "/", dir + "/tool", nil},
		{dir + "/text", "/", "", syscall.EACCES},
		{dir, "/", "", syscall.EACCES},
		{dir + "/none", "/", "", syscall.ENOENT},
		{dir + "/none/below", "/", "", syscall.ENOENT},
		{dir + "/text/below", "/", "", syscall.ENOTDIR},
		{dir + "/text/below/that", "/", "", syscall.ENOTDIR},
		{dir + "/text/", "/", "", syscall.ENOTDIR},
		{"./text/below", dir, "", syscall.ENOTDIR},
		{"", "/", "", syscall.ENOENT},
		{"a\x00b", "/", "", syscall.ENOENT},
	} {
		got, err := target.Resolve(t.Context(), c.name, c.dir)
		if !errors.Is(err, c.err) || c.err == nil && got != c.want {
			t.Errorf("Resolve(%q, %q) = %q, %v; want %q, %v", c.name, c.dir, got, err, c.want, c.err)
		}
	}
}

// What a POSIX shell, env(1) or sshd would take for something else never becomes a command line.
func TestCommandLinesThatWouldMeanSomethingElseAreRefused(t *testing.T) {
	good := targets.Command{Path: "/bin/echo", Argv: []string{"echo"}, Dir: "/"}
	for name, change := range map[string]func(*targets.Command){
		"no argv":            func(c *targets.Command) { c.Argv = nil },
		"relative path":      func(c *targets.Command) { c.Path = "echo" },
		"relative directory": func(c *targets.Command) { c.Dir = "x" },
		"NUL":                func(c *targets.Command) { c.Argv = []string{"echo", "a\x00b"} },
		"another name":       func(c *targets.Command) { c.Argv = []string{"reboot"} },
		"= in the path":      func(c *targets.Command) { c.Path, c.Argv = "/opt/a=b/echo", []string{"echo"} },
		"no variable":        func(c *targets.Command) { c.Env = []string{"PATH"} },
		"an option":          func(c *targets.Command) { c.Env = []string{"-S=rm"} },
		"no name":            func(c *targets.Command) { c.Env = []string{"=x"} },
		"too long":           func(c *targets.Command) { c.Argv = []string{"echo", strings.Repeat("x", maxLine)} },
	} {
		c := good
		change(&c)
		if text, err := line(c, "/bin/sh", "mark", false, nil); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
	for _, shell := range []string{"/bin/rbash", "/usr/sbin/nologin", "/usr/bin/xonsh", "unknown", "/"} {
		if _, err := line(good, shell, "mark", false, nil); !errors.Is(err, errShell) {
			t.Errorf("with the shell %s: %v", shell, err)
		}
	}
	if _, err := line(good, "/bin/bash", "mark", false, nil); err != nil {
		t.Error(err)
	}
}

// forced makes a ForceCommand that serves SFTP, and runs its own text for commands.
func forced(t *testing.T, text string) string {
	t.Helper()
	const server = "/usr/lib/openssh/sftp-server"
	if _, err := os.Stat(server); err != nil {
		t.Skip("no SFTP server of its own on this machine: install openssh-sftp-server")
	}
	name := filepath.Join(t.TempDir(), "forced")
	text = "#!/bin/sh\n[ \"$SSH_ORIGINAL_COMMAND\" = internal-sftp ] && exec " + server + "\n" + text + "\n"
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	return "ForceCommand " + name
}

// A server that runs something else than what it was sent must not pass its exit status off as the command's.
func TestForcedCommandsAreNotTakenForTheOneThatWasSent(t *testing.T) {
	for _, line := range []string{
		"ForceCommand internal-sftp", forced(t, "echo other"), forced(t, "echo other >&2; exit 3"), forced(t, "exit 0"),
	} {
		target := connect(t, sshdtest.Start(t, line))
		var stdout bytes.Buffer
		p, err := target.Start(t.Context(), targets.Command{
			Path: "/bin/echo", Argv: []string{"echo", "mine"}, Dir: "/", Stdout: &stdout, Stderr: io.Discard,
		})
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		exit, err := p.Wait()
		if !errors.Is(err, targets.ErrLost) || !strings.Contains(err.Error(), "ForceCommand") || exit != (targets.Exit{}) {
			t.Errorf("%s: %+v, %v; want an error that says what it was", line, exit, err)
		}
		if got := stdout.String(); strings.Contains(got, "mine") {
			t.Errorf("%s: it said %q", line, got)
		}
	}
}

// One that runs what it was sent by a shell of its own is as good as any.
func TestForcedCommandsMayRunWhatTheyAreGiven(t *testing.T) {
	target := connect(t, sshdtest.Start(t, forced(t, `exec sh -c "$SSH_ORIGINAL_COMMAND"`)))
	if out, _, exit := run(t, target, sh("echo mine; exit 3")); out != "mine\n" || exit.Code != 3 {
		t.Errorf("%q, %+v", out, exit)
	}
}

// Who asks for the target's files now and then holds no channel for it.
func TestFilesHoldNoConnection(t *testing.T) {
	s := sshdtest.Start(t, "MaxSessions 2")
	target := connect(t, s)
	for range 30 {
		if _, err := target.Files().Lstat("/usr"); err != nil {
			t.Fatal(err)
		}
		if _, err := target.Files().ReadDir("/"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
