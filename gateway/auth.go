package gateway

import (
	"errors"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/gateway/config"
)

// member is an identity and what it may reach.
type member struct {
	identity journal.Identity
	targets  []string
	key      string // its wire form
}

// memberKey is where the Permissions of a key hold its *member.
type memberKey struct{}

// errUnknownKey is all that a client learns of a key that is not in the configuration.
var errUnknownKey = errors.New("unknown public key")

// keyring maps the wire form of a public key to who has it. It never changes.
type keyring map[string]*member

func newKeyring(identities []config.Identity) keyring {
	ring := keyring{}
	for _, id := range identities {
		for _, key := range id.Keys {
			ring[string(key.Public.Marshal())] = &member{
				identity: journal.Identity{Name: id.Name, Role: id.Role, Fingerprint: key.Fingerprint},
				targets:  id.Targets, key: string(key.Public.Marshal()),
			}
		}
	}
	return ring
}

// current is who a member of an earlier keyring is in this one: by the same key the same name and role, or nil.
func (k keyring) current(m *member) *member {
	if now := k[m.key]; now != nil && now.identity == m.identity {
		return now
	}
	return nil
}

// of is the member that is an identity, or nil.
func (k keyring) of(id journal.Identity) *member {
	for _, m := range k {
		if m.identity == id {
			return m
		}
	}
	return nil
}

// people are who the configuration names, by name. It never changes.
type people map[string]person

type person struct {
	scope.Standing
	keys map[string]bool // fingerprints
}

func newPeople(identities []config.Identity) people {
	all := people{}
	for _, id := range identities {
		p := person{scope.Standing{Role: id.Role, Targets: id.Targets, Everywhere: id.Everywhere}, map[string]bool{}}
		for _, key := range id.Keys {
			p.keys[key.Fingerprint] = true
		}
		all[id.Name] = p
	}
	return all
}

// standing is what approvals asks for: see approvals.Config. An identity without a key is nobody.
func (p people) standing(name, fingerprint string) (scope.Standing, bool) {
	who, ok := p[name]
	return who.Standing, ok && len(who.keys) > 0 && (fingerprint == "" || who.keys[fingerprint])
}

// authenticate is the server's public key callback. A client may offer any number of keys before it proves that it has
// one, so this remembers nothing. Who a key belongs to travels in the Permissions of exactly that key. The library
// attaches to the connection the Permissions of the key whose signature it verified; CVE-2024-45337 is what happens
// otherwise. A certificate is no key of the ring: the gateway refuses it.
func (k keyring) authenticate(_ gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
	m := k[string(key.Marshal())]
	if m == nil {
		return nil, errUnknownKey
	}
	return &gossh.Permissions{ExtraData: map[any]any{memberKey{}: m}}, nil
}

// memberOf is who completed the authentication of a connection, nil for nobody.
func memberOf(conn *gossh.ServerConn) *member {
	if conn.Permissions == nil {
		return nil
	}
	m, _ := conn.Permissions.ExtraData[memberKey{}].(*member)
	return m
}
