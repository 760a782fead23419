package config

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
)

// Identity is someone who may connect: by each of Keys, and not at all where there is none.
type Identity struct {
	Name    string
	Role    journal.Role
	Keys    []Key
	Targets []string // by name; those that they may use
	// Everywhere says that the file has no targets for one who decides. They decide on every target, also on one that is
	// in no configuration any more.
	Everywhere bool
}

// NobodyConnects reports whether no identity has a key.
func (c *Config) NobodyConnects() bool {
	return !slices.ContainsFunc(c.Identities, func(i Identity) bool { return len(i.Keys) > 0 })
}

// MayDecide reports whether the identity's role is one that decides.
func (i Identity) MayDecide() bool { return journal.Identity{Role: i.Role}.MayDecide() }

// Key is a public key of an identity.
type Key struct {
	Public      ssh.PublicKey
	Fingerprint string // SHA256:…
	From        string // where it was read, for messages
}

// minRSABits is the smallest RSA key that is taken.
const minRSABits = 2048

func (f *file) checkIdentities(c *Config) error {
	owners := map[string]string{} // marshalled key to identity
	for _, name := range slices.Sorted(maps.Keys(f.Identities)) {
		id, err := f.identity(c, name)
		if err != nil {
			return fmt.Errorf("[identities.%s]: %w", name, err)
		}
		for _, k := range id.Keys {
			blob := string(k.Public.Marshal())
			if other, taken := owners[blob]; taken {
				return fmt.Errorf("[identities.%s]: %s: the key %s belongs to %q already; give each key to one identity",
					name, k.From, k.Fingerprint, other)
			}
			owners[blob] = name
		}
		c.Identities = append(c.Identities, id)
	}
	return nil
}

func (f *file) identity(c *Config, name string) (Identity, error) {
	from := f.Identities[name]
	id := Identity{Name: name, Role: journal.Role(from.Role), Targets: from.Targets}
	switch {
	case !names.MatchString(name):
		return id, errors.New("a name is letters, digits, dots, dashes and underscores")
	case name == "policy":
		return id, errors.New("that name stands for the policy's own decisions; choose another")
	case from.Role == "":
		return id, errors.New("role is missing: agent, approver or admin")
	case !slices.Contains(roles(), id.Role):
		return id, fmt.Errorf("role = %q: use agent, approver or admin", from.Role)
	}
	if id.Targets == nil {
		id.Targets = []string{LocalTarget}
		id.Everywhere = id.Role == journal.Approver || id.Role == journal.Admin
		if id.Role == journal.Approver { // who runs nothing anywhere
			id.Targets = append(id.Targets, slices.Sorted(maps.Keys(c.Remotes))...)
		}
	}
	var err error
	if id.Targets, err = c.expand(id.Targets); err != nil {
		return id, fmt.Errorf("targets: %w", err)
	}
	if id.Keys, err = from.keys(c, name); err != nil {
		return id, err
	}
	if len(id.Keys) == 0 {
		c.warn(`[identities.%s] has no key, so that nobody can use it: add keys = ["ssh-ed25519 AAAA... comment"] or authorized_keys = "FILE"`, name)
	}
	return id, nil
}

// warn notes what is no mistake that a configuration is refused for.
func (c *Config) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// keys parses the keys of an identity, those of its file included. A file or line that cannot be read gives no key, and a
// warning, as with sshd(8): a file that was emptied, removed or broken must not keep in force what it held before.
func (i fileIdentity) keys(c *Config, identity string) ([]Key, error) {
	var keys []Key
	for n, text := range i.Keys {
		k, err := parseKey(text, fmt.Sprintf("keys, entry %d", n+1))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if i.AuthorizedKeys == "" {
		return keys, nil
	}
	name, err := c.fileName(i.AuthorizedKeys)
	if err != nil {
		return nil, fmt.Errorf("authorized_keys: %w", err)
	}
	text, err := c.readKeysFile(name)
	if err != nil {
		c.warn("[identities.%s] authorized_keys: no key of the file counts: %v", identity, err)
		return keys, nil
	}
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseKey(line, fmt.Sprintf("%s, line %d", name, n+1))
		if err != nil {
			c.warn("[identities.%s] authorized_keys: left out: %v", identity, err)
			continue
		}
		if !slices.ContainsFunc(keys, func(had Key) bool { return had.Fingerprint == k.Fingerprint }) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (c *Config) readKeysFile(name string) ([]byte, error) {
	if c.StrictModes {
		if err := CheckModes(name); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return text, err
}

// parseKey reads one line of authorized_keys(5): type, key, comment. It refuses options: one that the gateway does not
// honour would promise a restriction that is not there.
func parseKey(line, from string) (Key, error) {
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n\x00") {
		return Key{}, fmt.Errorf("%s: it is more than one line", from)
	}
	public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return Key{}, fmt.Errorf("%s: it is not a public key; write one as in a .pub file: \"ssh-ed25519 AAAA... comment\"", from)
	}
	if len(options) > 0 {
		return Key{}, fmt.Errorf("%s: the option %q is not supported; leave only type, key and comment", from, options[0])
	}
	if err := acceptable(public); err != nil {
		return Key{}, fmt.Errorf("%s: %w", from, err)
	}
	return Key{Public: public, Fingerprint: ssh.FingerprintSHA256(public), From: from}, nil
}

// acceptable refuses kinds of keys that are weak, or that are not the key of one person.
func acceptable(k ssh.PublicKey) error {
	switch k.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256: // signatures by sk keys must assert that someone was present
		return nil
	case ssh.KeyAlgoRSA:
		if ck, ok := k.(ssh.CryptoPublicKey); ok {
			if r, ok := ck.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() >= minRSABits {
				return nil
			}
		}
		return fmt.Errorf("an RSA key needs at least %d bits", minRSABits)
	}
	return fmt.Errorf("keys of type %s are not supported; use ssh-ed25519", k.Type())
}
