package audit

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// statementPurpose begins what is signed of a line that is signed by itself, so that the signature is good for nothing else.
const statementPurpose = "shannot-gateway audit statement v1\n"

// statement is what the signature of a line is over: its place in the chain, and what it says. It is good at that place alone.
func statement(seq uint64, prev string, e Event) ([]byte, error) {
	text, err := json.Marshal(struct {
		Seq    uint64   `json:"seq"`
		Prev   string   `json:"prev"`
		Event  string   `json:"event"`
		By     string   `json:"by"`
		NewKey string   `json:"new_key"`
		Who    string   `json:"who"`
		Reason string   `json:"reason"`
		Files  []string `json:"files"`
	}{seq, prev, e.Event, e.SignedBy, e.NewKey, e.Identity, e.Reason, e.Files})
	return append([]byte(statementPurpose), text...), err
}

// signed returns the event with the signatures that it asks for, if it asks for any.
func (e Event) signed(seq uint64, prev string) (Event, error) {
	if e.signer == nil && e.next == nil {
		return e, nil
	}
	if e.signer != nil {
		e.SignedBy = authorizedKey(e.signer.PublicKey())
	}
	if e.next != nil {
		e.NewKey = authorizedKey(e.next.PublicKey())
	}
	e = e.cut(maxText)
	data, err := statement(seq, prev, e)
	if err != nil {
		return e, err
	}
	for _, s := range []struct {
		by     Signer
		format *string
		sig    *[]byte
	}{{e.signer, &e.Format, &e.Sig}, {e.next, &e.NewFormat, &e.NewSig}} {
		if s.by == nil {
			continue
		}
		sig, err := s.by.Sign(rand.Reader, data)
		if err != nil {
			return e, fmt.Errorf("sign a line: %w", err)
		}
		*s.format, *s.sig = sig.Format, sig.Blob
	}
	return e, nil
}

// signedBy returns the fingerprint of the key that signed a line by itself, "" for a line that nobody did.
func (l *line) signedBy() (string, error) {
	if len(l.Sig) == 0 {
		return "", nil
	}
	return l.signature(l.SignedBy, l.Format, l.Sig)
}

// signature checks one of the signatures of a line, and returns the fingerprint of its key.
func (l *line) signature(by, format string, sig []byte) (string, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(by))
	if err != nil {
		return "", errors.New("it names no key that signed it")
	}
	data, err := statement(l.Seq, l.Prev, l.Event)
	if err != nil {
		return "", err
	}
	if err := key.Verify(data, &ssh.Signature{Format: format, Blob: sig}); err != nil {
		return "", errors.New("its signature is false")
	}
	return ssh.FingerprintSHA256(key), nil
}

// handover says that another key signs the log from here on. The new key signs the line. The key that signed the log
// until now, old, signs it too, if it is still among the former ones.
func handover(old ssh.PublicKey, to Signer, former []Signer) Event {
	e := Event{Event: HostKey, Key: ssh.FingerprintSHA256(old), next: to}
	for _, f := range former {
		if same(f.PublicKey(), old) {
			e.signer = f
			return e
		}
	}
	e.Reason = "the former key is not here any more, and signed nothing of this"
	return e
}

func same(a, b ssh.PublicKey) bool { return string(a.Marshal()) == string(b.Marshal()) }
