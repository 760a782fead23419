package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"shannot-gateway/hostkeys"
)

// Login says how the gateway proves who it is. The first field that is set counts. With none, the gateway tries what
// ssh(1) would: the agent of SSH_AUTH_SOCK and the keys in ~/.ssh.
type Login struct {
	// Authority signs a certificate for every login, with a key that exists only for it. It names the session, which
	// gets connections of its own.
	Authority gossh.Signer
	// Source is the source-address of these certificates, a comma-separated list as of ssh-keygen(1); "" is the
	// address that this host has on the way to the target, "none" leaves it out.
	Source string
	Key    string // file with a private key
	Agent  string // socket of an ssh-agent
	// Own is the gateway's own key, offered where nothing is configured.
	Own gossh.Signer
	// Forwards says that the host is a jump host: a certificate for it permits to forward ports, and no other does.
	Forwards bool
}

// Certificates are short: they need to live only until the target has checked them.
const (
	certificateLife = 5 * time.Minute
	certificateSkew = 2 * time.Minute // by which the target's clock may be behind
)

// defaultKeys are the files that ssh(1) tries, in its order.
var defaultKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// methods are the ways to log in as user over a connection from the address local.
func (l Login) methods(ctx context.Context, user, keyID string, local net.Addr, now time.Time) ([]gossh.AuthMethod, func(), error) {
	nothing := func() {}
	switch {
	case l.Authority != nil:
		signer, err := l.certificate(user, keyID, local, now)
		if err != nil {
			return nil, nothing, fmt.Errorf("sign a certificate: %w", err)
		}
		return []gossh.AuthMethod{gossh.PublicKeys(signer)}, nothing, nil
	case l.Key != "":
		signer, err := hostkeys.ReadPrivate(l.Key)
		var locked *gossh.PassphraseMissingError
		if errors.As(err, &locked) {
			return nil, nothing, fmt.Errorf("the key %s is protected by a passphrase: load it into an ssh-agent and name its socket with agent", l.Key)
		}
		if err != nil {
			return nil, nothing, err
		}
		return []gossh.AuthMethod{gossh.PublicKeys(signer)}, nothing, nil
	case l.Agent != "":
		client, stop, err := dialAgent(ctx, l.Agent)
		if err != nil {
			return nil, nothing, err
		}
		return []gossh.AuthMethod{gossh.PublicKeysCallback(client.Signers)}, stop, nil
	}
	return l.usual(ctx)
}

// usual is what ssh(1) would try, and the gateway's own key.
func (l Login) usual(ctx context.Context) ([]gossh.AuthMethod, func(), error) {
	var signers []gossh.Signer
	stop := func() {}
	if l.Own != nil {
		signers = append(signers, l.Own)
	}
	if socket := os.Getenv("SSH_AUTH_SOCK"); socket != "" {
		if client, hangUp, err := dialAgent(ctx, socket); err == nil {
			stop = hangUp
			if has, err := client.Signers(); err == nil {
				signers = append(signers, has...)
			}
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		for _, name := range defaultKeys {
			signer, err := hostkeys.ReadPrivate(filepath.Join(home, ".ssh", name))
			if err == nil {
				signers = append(signers, signer)
			} else if !errors.Is(err, fs.ErrNotExist) {
				continue // locked, or not private: another may do
			}
		}
	}
	// A server counts what is offered, and refuses everything after its sixth.
	return []gossh.AuthMethod{gossh.PublicKeys(signers[:min(len(signers), 5)]...)}, stop, nil
}

// dialAgent connects to an ssh-agent for as long as ctx lasts.
func dialAgent(ctx context.Context, socket string) (agent.ExtendedAgent, func(), error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the ssh-agent: %w", err)
	}
	// The library has no context: closing the socket ends whatever waits for the agent.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return agent.NewClient(conn), func() { stop(); _ = conn.Close() }, nil
}

// keyID is what a certificate is for, as sshd(8) logs it with each login: shannot-gateway/HOP/IDENTITY/SESSION.
func keyID(hop, use string) string { return "shannot-gateway/" + plain(hop) + "/" + use }

// noSession stands in a key id for what is done before or beside a session: to see whether the target can be used.
const noSession = "check"

// use is the part of a key id that tells who a connection is for, "-" for the gateway itself.
func use(identity, session string) string {
	if identity == "" {
		identity = "-"
	}
	if session == "" {
		session = noSession
	}
	return plain(identity) + "/" + plain(session)
}

// plain makes a word one that a target's log can hold: nobody's name looks like more of the line.
func plain(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.@+", r):
			return r
		}
		return '_'
	}, word[:min(len(word), 64)])
}

// certificate makes a key and a certificate for it. The certificate is good for user, from here, for minutes, and for
// nothing but commands: no terminal, and no forwarding but on a jump host.
func (l Login) certificate(user, keyID string, local net.Addr, now time.Time) (gossh.Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := gossh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	c := &gossh.Certificate{
		Key: key, CertType: gossh.UserCert, KeyId: keyID, ValidPrincipals: []string{user}, Serial: uint64(now.UnixNano()), // #nosec G115 -- after 1970
		ValidAfter: uint64(now.Add(-certificateSkew).Unix()), ValidBefore: uint64(now.Add(certificateLife).Unix()), // #nosec G115 -- after 1970
	}
	if l.Forwards {
		c.Extensions = map[string]string{"permit-port-forwarding": ""}
	}
	if source := l.source(local); source != "" {
		c.CriticalOptions = map[string]string{"source-address": source}
	}
	if err := c.SignCert(rand.Reader, l.Authority); err != nil {
		return nil, err
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	return gossh.NewCertSigner(c, signer)
}

// source is the certificate's source-address, "" for none. Behind a jump host it is not known.
func (l Login) source(local net.Addr) string {
	switch {
	case l.Source == "none":
		return ""
	case l.Source != "":
		return l.Source
	}
	if tcp, ok := local.(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		return tcp.IP.String()
	}
	return ""
}
