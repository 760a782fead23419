package audit

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Signer signs the head; a gateway's host key is one.
type Signer interface {
	PublicKey() ssh.PublicKey
	Sign(random io.Reader, data []byte) (*ssh.Signature, error)
}

// headFile holds the signed head in two places, written in turn, so that one is whole whatever happens. The log writes
// its head when the lines that it speaks of are on the disk: the head is never ahead of the log.
const headFile = "head"

// slotSize is the size of each place, in bytes: a line, filled with spaces. An RSA key of 4096 bits takes 1.7 kB.
const slotSize = 4096

// headPurpose begins what is signed, so that the signature is good for nothing else that this key signs.
const headPurpose = "shannot-gateway audit head v1\n"

// head says how far the log goes.
type head struct {
	Seq     uint64 `json:"seq"`     // of the last line
	Hash    string `json:"hash"`    // of the last line
	Segment string `json:"segment"` // the file that holds it
	First   string `json:"first"`   // the oldest file that is kept
	At      string `json:"at"`
	Key     string `json:"key"` // public key, as in authorized_keys
	Format  string `json:"format,omitempty"`
	Sig     []byte `json:"sig,omitempty"`
}

// signed is what the signature is over.
func (h head) signed() ([]byte, error) {
	h.Format, h.Sig = "", nil
	text, err := json.Marshal(h)
	return append([]byte(headPurpose), text...), err
}

// sign returns the head as a place of the file.
func (h head) sign(s Signer) ([]byte, error) {
	h.Key = authorizedKey(s.PublicKey())
	data, err := h.signed()
	if err != nil {
		return nil, err
	}
	sig, err := s.Sign(rand.Reader, data)
	if err != nil {
		return nil, err
	}
	h.Format, h.Sig = sig.Format, sig.Blob
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(text) >= slotSize {
		return nil, errors.New("the signed head is too large")
	}
	return append(append(text, bytes.Repeat([]byte(" "), slotSize-1-len(text))...), '\n'), nil
}

func authorizedKey(k ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// check verifies the head's signature by the key that it names.
func (h head) check() (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(h.Key))
	if err != nil {
		return nil, fmt.Errorf("its key: %w", err)
	}
	data, err := h.signed()
	if err != nil {
		return nil, err
	}
	if err := key.Verify(data, &ssh.Signature{Format: h.Format, Blob: h.Sig}); err != nil {
		return nil, errors.New("its signature does not match")
	}
	return key, nil
}

// readHead returns the newest head whose signature is good, with who signed it. damaged says that a place holds
// something else.
func readHead(name string) (newest *head, key ssh.PublicKey, damaged bool, err error) {
	f, err := os.Open(name) // #nosec G304 -- a file of our own
	if err != nil {
		return nil, nil, false, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 2*slotSize+1))
	if err != nil {
		return nil, nil, false, err
	}
	damaged = len(text) != slotSize && len(text) != 2*slotSize
	for len(text) > 0 {
		place := text[:min(slotSize, len(text))]
		text = text[len(place):]
		var h head
		if json.Unmarshal(place, &h) != nil {
			damaged = true
			continue
		}
		k, err := h.check()
		if err != nil {
			damaged = true
			continue
		}
		if newest == nil || h.Seq > newest.Seq {
			newest, key = &h, k
		}
	}
	return newest, key, damaged, nil
}
