package approvals

import (
	"crypto/sha256"
	"encoding/hex"
)

// The digest of an operation is SHA-256 over the encoding below; docs/digest.md says it at length. Every field has a
// fixed place and its length before it, so that no two operations encode alike:
//
//	string   eight bytes length, big-endian, then its bytes
//	list     eight bytes count, then its strings
//	command  string "shannot command v1", then Target, RunAs, Path, list Argv, Dir, list Env, Input, InputSHA256
//	         with files: "shannot command v2", the same, then list Before, list of the digests of Scratch
//	file     string "shannot file v1", see File.canonical
//
// Line is left out: it is the script's own word and changes nothing about what runs.
const (
	digestVersion          = "shannot command v1"
	digestVersionWithFiles = "shannot command v2"
)

// Digest returns the hex SHA-256 that an approval of this command names.
func (c *Command) Digest() string { return sha256Hex(c.canonical()) }

func (c *Command) canonical() []byte {
	e := encoder{}
	files := len(c.Before)+len(c.Scratch) > 0
	if files {
		e.str(digestVersionWithFiles)
	} else {
		e.str(digestVersion)
	}
	e.str(c.Target)
	e.str(c.RunAs)
	e.str(c.Path)
	e.list(c.Argv)
	e.str(c.Dir)
	e.list(c.Env)
	e.str(c.Input)
	e.str(c.InputSHA256)
	if files {
		e.list(c.Before)
		scratch := make([]string, len(c.Scratch))
		for i := range c.Scratch {
			scratch[i] = c.Scratch[i].Digest()
		}
		e.list(scratch)
	}
	return e.b
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
