package approvals

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// The digest of an operation is SHA-256 over the encoding below. Every field has a fixed place and its length before
// it, so that no two commands encode alike:
//
//	string   eight bytes length, big-endian, then its bytes
//	list     eight bytes count, then its strings
//	command  string "shannot command v1", then Target, RunAs, Path, list Argv, Dir, list Env, Input, InputSHA256
//
// Line is left out: it is the script's own word and changes nothing about what runs.
const digestVersion = "shannot command v1"

// Digest returns the hex SHA-256 that an approval of this command names.
func (c *Command) Digest() string {
	sum := sha256.Sum256(c.canonical())
	return hex.EncodeToString(sum[:])
}

func (c *Command) canonical() []byte {
	var b []byte
	str := func(s string) {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	list := func(l []string) {
		b = binary.BigEndian.AppendUint64(b, uint64(len(l)))
		for _, s := range l {
			str(s)
		}
	}
	str(digestVersion)
	str(c.Target)
	str(c.RunAs)
	str(c.Path)
	list(c.Argv)
	str(c.Dir)
	list(c.Env)
	str(c.Input)
	str(c.InputSHA256)
	return b
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
