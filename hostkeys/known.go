package hostkeys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// Known is what the gateway knows of the host keys of one target: fingerprints from the configuration, or files by
// sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, with hashed names, @cert-authority and @revoked.
type Known struct {
	target       string
	fingerprints []string
	files        *knownhosts.HostKeyDB // nil for none
}

// KnownOptions say where the keys of a target are.
type KnownOptions struct {
	Target       string   // the target's name, for messages
	Fingerprints []string // "SHA256:…"; with any, a key must be one of these, and files can only revoke it
	Files        []string // that must be there
	Defaults     []string // files that may be missing
	// Check refuses a file whose content is not to be believed; nil for none.
	Check func(name string) error
}

// LoadKnown reads the files. A file that must be there and is not, or that cannot be understood, is an error.
func LoadKnown(o KnownOptions) (*Known, error) {
	k := &Known{target: o.Target, fingerprints: o.Fingerprints}
	for _, f := range o.Fingerprints {
		if err := CheckFingerprint(f); err != nil {
			return nil, err
		}
	}
	files := slices.Clone(o.Files)
	for _, name := range o.Defaults {
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("read the known hosts: %w", err)
		}
	}
	if len(files) == 0 {
		return k, nil
	}
	for _, name := range files {
		if o.Check == nil {
			break
		}
		if err := o.Check(name); err != nil {
			return nil, fmt.Errorf("read the known hosts: %w", err)
		}
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, fmt.Errorf("read the known hosts: %w", err)
	}
	k.files = db
	return k, nil
}

// CheckFingerprint reports what is wrong with a fingerprint as ssh-keygen -l prints it.
func CheckFingerprint(f string) error {
	sum, ok := strings.CutPrefix(f, "SHA256:")
	raw, err := base64.RawStdEncoding.DecodeString(sum)
	if !ok || err != nil || len(raw) != 32 {
		return fmt.Errorf("%q is not a fingerprint; write one as ssh-keygen -l prints it: SHA256:… with 43 characters", f)
	}
	return nil
}

// PlainAlgorithms are those of keys that are no certificates, the preferred ones first.
func PlainAlgorithms() [][]string {
	return [][]string{
		{ssh.KeyAlgoED25519},
		{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
		{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	}
}

// Algorithms are the lists of host key algorithms to ask the host at address ("host:port") for, one after the other until
// it shows a key that is known. A host has keys of several types, and a fingerprint does not tell which. A nil list asks
// for any.
func (k *Known) Algorithms(address string) [][]string {
	if len(k.fingerprints) > 0 {
		return PlainAlgorithms()
	}
	if k.files != nil {
		if known := k.files.HostKeyAlgorithms(address); len(known) > 0 {
			return [][]string{known}
		}
	}
	return [][]string{nil}
}

// Check is an ssh.HostKeyCallback. It returns a *HostKeyError where the key is not the host's as far as is known.
func (k *Known) Check(address string, remote net.Addr, key ssh.PublicKey) error {
	problem := &HostKeyError{
		Target: k.target, Address: address, Key: key, Expected: k.fingerprints, Changed: len(k.fingerprints) > 0,
	}
	if k.files != nil {
		err := k.files.HostKeyCallback()(address, remote, key)
		var revoked *xknownhosts.RevokedError
		var differs *xknownhosts.KeyError
		switch {
		case errors.As(err, &revoked):
			problem.Revoked = true
			return problem
		case len(k.fingerprints) > 0:
			// The fingerprints decide.
		case err == nil:
			return nil
		case errors.As(err, &differs):
			for _, w := range differs.Want {
				problem.Expected = append(problem.Expected, ssh.FingerprintSHA256(w.Key))
			}
			problem.Changed = len(differs.Want) > 0
		default: // a certificate that is not good for this host
			problem.Why = err
		}
	}
	if slices.Contains(k.fingerprints, ssh.FingerprintSHA256(key)) {
		return nil
	}
	return problem
}

// HostKeyError is a host key that is refused.
type HostKeyError struct {
	Target   string // as configured
	Address  string // host:port
	Key      ssh.PublicKey
	Expected []string // fingerprints
	Changed  bool     // other keys are known for this host
	Revoked  bool
	Why      error // what is wrong with a certificate, nil for a key
}

// Error says what the host showed, what was expected, and how an operator accepts it.
func (e *HostKeyError) Error() string {
	shown := fmt.Sprintf("%s %s", e.Key.Type(), ssh.FingerprintSHA256(e.Key))
	switch {
	case e.Revoked:
		return fmt.Sprintf("the host key of target %s (%s) is revoked: %s", e.Target, e.Address, shown)
	case e.Why != nil:
		return fmt.Sprintf("the host certificate of target %s (%s) is not good: %s: %v", e.Target, e.Address, shown, e.Why)
	case e.Changed:
		return fmt.Sprintf("the host key of target %s (%s) has changed: it shows %s, expected was %s. Somebody may stand in "+
			"between. Where the change is known to be right, an operator accepts it on the gateway's host with: "+
			"shannot-gateway targets trust %s", e.Target, e.Address, shown, strings.Join(e.Expected, " or "), e.Target)
	}
	return fmt.Sprintf("the host key of target %s (%s) is not known: it shows %s, expected was none. Where that is its key, an "+
		"operator accepts it on the gateway's host with: shannot-gateway targets trust %s", e.Target, e.Address, shown, e.Target)
}
