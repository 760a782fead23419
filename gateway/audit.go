package gateway

import (
	"fmt"
	"net"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/render"
)

// authenticated is called once a client has proved that it has a key. It gives back exactly the permissions of that key.
func (g *Gateway) authenticated(meta gossh.ConnMetadata, key gossh.PublicKey, p *gossh.Permissions, _ string) (*gossh.Permissions, error) {
	if m := memberOf(&gossh.ServerConn{Permissions: p}); m != nil && g.options.Audit != nil {
		g.options.Audit.Authenticated(m.identity.Name, string(m.identity.Role), gossh.FingerprintSHA256(key), hostOf(meta.RemoteAddr()))
	}
	return p, nil
}

// refused records an authentication that failed, with the key that was offered, where it was one.
func (g *Gateway) refused(meta gossh.ConnMetadata, key gossh.PublicKey, why error) {
	if g.options.Audit == nil {
		return
	}
	fingerprint := ""
	if key != nil {
		fingerprint = gossh.FingerprintSHA256(key)
	}
	g.options.Audit.Refused(fingerprint, hostOf(meta.RemoteAddr()), render.Line(why.Error()).String())
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// auditState says whether there is an audit log, and why it cannot be written where that is so.
func (g *Gateway) auditState() (on bool, err error) {
	if g.options.Audit == nil {
		return false, nil
	}
	return true, g.options.Audit.State()
}

// auditVerified says what the last verification of the audit log found, and when.
func (g *Gateway) auditVerified() (summary string, findings []string) {
	if g.options.Audit == nil {
		return "", nil
	}
	v, at, err := g.options.Audit.Verified()
	switch {
	case at.IsZero():
		return "", nil
	case err != nil:
		return "it cannot be verified", []string{err.Error()}
	}
	return fmt.Sprintf("verified at %s: %s", at.UTC().Format(time.RFC3339), v.Summary()), v.Findings
}
