// Package hostkeys keeps the gateway's own SSH keys and knows the host keys of targets. It makes a key once, under the state
// directory, and never overwrites it. It refuses a key that others may have read or replaced. It knows files and keys, no
// connection. It must never take a target's key for known that nobody accepted. Begin with Load in this file for the
// gateway's own keys, and with known.go for those of targets.
package hostkeys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/internal/linux/durable"
)

// Type is a kind of host key.
type Type string

// Types. RSA keys have 4096 bits, ECDSA keys are on P-256.
const (
	Ed25519 Type = "ed25519"
	ECDSA   Type = "ecdsa"
	RSA     Type = "rsa"
)

// Types lists the kinds of key that can be made.
func Types() []Type { return []Type{Ed25519, ECDSA, RSA} }

// maxKeyFile is the largest key file that is read, in bytes; an RSA-4096 key takes 3.4 kB.
const maxKeyFile = 64 << 10

// ErrInsecure is wrapped by errors about a key that someone other than the gateway may have read or put there.
var ErrInsecure = errors.New("host key is not private")

// Key is one host key.
type Key struct {
	Type   Type
	Path   string
	Signer ssh.Signer
}

// Fingerprint is SHA256:… of the public key, as ssh-keygen -l prints it.
func (k Key) Fingerprint() string { return ssh.FingerprintSHA256(k.Signer.PublicKey()) }

// Load returns a key of each type from dir. It makes dir (mode 0700) and the keys (mode 0600) that are missing. Several
// processes may start at once: all end with the same key. Without types it is one Ed25519 key. New keys come from random,
// crypto/rand.Reader outside of tests.
func Load(dir string, types []Type, random io.Reader) ([]Key, error) {
	if len(types) == 0 {
		types = []Type{Ed25519}
	}
	if err := checkTypes(types); err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("prepare the host key directory: %w", err)
	}
	keys := make([]Key, 0, len(types))
	for _, t := range types {
		key, err := load(dir, "host_", t, random)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Existing returns the keys that are in dir, of every type, and makes none.
func Existing(dir string) ([]Key, error) {
	var keys []Key
	for _, t := range Types() {
		name := fileName(dir, t)
		signer, err := read(name, t)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read host key %s: %w", name, err)
		}
		keys = append(keys, Key{Type: t, Path: name, Signer: signer})
	}
	return keys, nil
}

// retiredPrefix begins the names of host keys that are in use no more, but may still sign what goes on with another.
const retiredPrefix = "retired_"

// Retired returns the host keys that were in use before: files named retired_… in dir. They identify the gateway to nobody.
func Retired(dir string) ([]Key, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), retiredPrefix) || strings.HasSuffix(e.Name(), ".pub") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		signer, err := read(name, "")
		if err != nil {
			return nil, fmt.Errorf("read the retired host key %s: %w", name, err)
		}
		keys = append(keys, Key{Type: typeOf(signer), Path: name, Signer: signer})
	}
	return keys, nil
}

// IsRetired reports whether a key is one of Retired.
func IsRetired(k Key) bool { return strings.HasPrefix(filepath.Base(k.Path), retiredPrefix) }

func fileName(dir string, t Type) string { return filepath.Join(dir, "host_"+string(t)) }

func checkTypes(types []Type) error {
	for i, t := range types {
		if !slices.Contains(Types(), t) {
			return fmt.Errorf("host key type %q is not known; use ed25519, ecdsa or rsa", t)
		}
		if slices.Contains(types[:i], t) {
			return fmt.Errorf("host key type %q is named twice", t)
		}
	}
	return nil
}

// makeDir makes the directory, or checks that the one that is there is ours alone.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return durable.SyncDir(filepath.Dir(dir))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a directory", ErrInsecure, dir)
	}
	return checkPrivate(dir, info)
}

// checkPrivate refuses what belongs to someone else or what others can open.
func checkPrivate(name string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o, others may have read it: replace the key, or run chmod go= %s if you "+
			"are sure that nobody did", ErrInsecure, name, info.Mode().Perm(), name)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d, and the gateway runs as user %d: run this as %s", ErrInsecure, name, st.Uid, os.Geteuid(), userName(st.Uid))
	}
	return nil
}

// userName is what a user is called here, or the number of one who has no name.
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return "user " + number
}

// LoadOwn returns an Ed25519 key of the gateway that is no host key, by the same rules as Load. Its purpose is "ca",
// which signs certificates for targets, or "client", which logs in on them.
func LoadOwn(dir, purpose string, random io.Reader) (Key, error) {
	if err := makeDir(dir); err != nil {
		return Key{}, fmt.Errorf("prepare the key directory: %w", err)
	}
	return load(dir, purpose+"_", Ed25519, random)
}

// ReadPrivate reads a private key file of any type that this process alone can read, as ssh(1) demands of an identity.
func ReadPrivate(name string) (ssh.Signer, error) {
	signer, err := read(name, "")
	if err != nil {
		return nil, fmt.Errorf("read the private key %s: %w", name, err)
	}
	return signer, nil
}

func load(dir, prefix string, t Type, random io.Reader) (Key, error) {
	name := filepath.Join(dir, prefix+string(t))
	signer, err := read(name, t)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(dir, name, t, random); err != nil {
			return Key{}, fmt.Errorf("make host key %s: %w", name, err)
		}
		// Read back: where another process was faster, its key is the key.
		signer, err = read(name, t)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read host key %s: %w", name, err)
	}
	return Key{Type: t, Path: name, Signer: signer}, nil
}

// read opens a key file without following a link and checks the file that it opened, not its name. An empty type takes
// any.
func read(name string, t Type) (ssh.Signer, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%w: it is a symbolic link", ErrInsecure)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", ErrInsecure)
	}
	if err := checkPrivate(name, info); err != nil {
		return nil, err
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("not an unencrypted private key: %w", err)
	}
	if got := typeOf(signer); t != "" && got != t {
		return nil, fmt.Errorf("it holds a key of type %s, not %s", got, t)
	}
	return signer, nil
}

func typeOf(s ssh.Signer) Type {
	switch s.PublicKey().Type() {
	case ssh.KeyAlgoED25519:
		return Ed25519
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return ECDSA
	case ssh.KeyAlgoRSA:
		return RSA
	}
	return Type(s.PublicKey().Type())
}

// create writes a new key under a temporary name and links it to its own. That fails where a key is there already, which
// is no error. So no key is ever overwritten, and nobody sees half of one.
func create(dir, name string, t Type, random io.Reader) error {
	text, err := generate(t, random)
	if err != nil {
		return err
	}
	if err = durable.Create(name, text); errors.Is(err, fs.ErrExist) {
		return durable.SyncDir(dir) // whoever made it may not have come so far
	}
	return err
}

// generate makes a key in the format of OpenSSH.
func generate(t Type, random io.Reader) ([]byte, error) {
	var key crypto.PrivateKey
	var err error
	switch t {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(random)
	case ECDSA:
		key, err = ecdsa.GenerateKey(elliptic.P256(), random)
	case RSA:
		key, err = rsa.GenerateKey(random, 4096)
	default:
		err = fmt.Errorf("host key type %q is not known", t)
	}
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "shannot-gateway")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := pem.Encode(&out, block); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// KnownHosts is a line for a client's known_hosts file that names this key for a host. The host is "host" or
// "[host]:port", as known_hosts has it.
func (k Key) KnownHosts(host string) string {
	return host + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Signer.PublicKey())))
}
