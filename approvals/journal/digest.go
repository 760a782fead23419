package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// The digest of an operation is SHA-256 over the encoding below; docs/digest.md says it at length. Every field has a
// fixed place and its length before it, so that no two operations encode alike:
//
//	string   eight bytes length, big-endian, then its bytes
//	list     eight bytes count, then its strings
//	command  string "shannot command v1", then Target, RunAs, Path, list Argv, Dir, list Env, Input, InputSHA256
//	         with files: "shannot command v2", the same, then list Before, list of the digests of Scratch
//	file     string "shannot file v1", see File.canonical
//	waiting  string "shannot waiting v1", then list of the digests of the operations that wait, in order of number
//	group    string "shannot waiting group v1", then for each session in which something waits, in order of id, its id and
//	         its waiting digest, as one list
//	rest     string "shannot rest v1", see Session.RestDigest
//
// Line is left out: it is the script's own word and changes nothing about what runs.
const (
	digestVersion          = "shannot command v1"
	digestVersionWithFiles = "shannot command v2"
	digestWaiting          = "shannot waiting v1"
	digestWaitingGroup     = "shannot waiting group v1"
	digestRest             = "shannot rest v1"
)

// Digest returns the hex SHA-256 that an approval of this command names.
func (c *Command) Digest() string { return SHA256Hex(c.canonical()) }

func (c *Command) canonical() []byte {
	e := encoder{}
	if c.withFiles() {
		e.str(digestVersionWithFiles)
	} else {
		e.str(digestVersion)
	}
	e.fields(c.fields())
	return e.b
}

// withFiles reports whether changes of files go with the command.
func (c *Command) withFiles() bool { return len(c.Before)+len(c.Scratch) > 0 }

// fields are all that the digest covers, in order. Each needs a detail that covers it: see Operation.Details.
func (c *Command) fields() []field {
	fields := []field{
		text("target", c.Target),
		text("user", c.RunAs),
		text("executable", c.Path),
		list("argv", c.Argv),
		text("cwd", c.Dir),
		list("env", c.Env),
		text("stdin_from", c.Input),
		text("stdin_sha256", c.InputSHA256),
	}
	if c.withFiles() {
		scratch := make([]string, len(c.Scratch))
		for i := range c.Scratch {
			scratch[i] = c.Scratch[i].Digest()
		}
		fields = append(fields, list("before_digests", c.Before), list("scratch", scratch))
	}
	return fields
}

// Covered are the names of all that the operation's digest covers, as JSON and Detail.Covers have them.
func (o *Operation) Covered() []string {
	var fields []field
	switch {
	case o.File != nil:
		fields = o.File.fields()
	case o.Command != nil:
		fields = o.Command.fields()
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// field is a part of what a digest covers, with the name that it has in details and in JSON.
type field struct {
	name string
	put  func(e *encoder)
}

func text(name, s string) field { return field{name, func(e *encoder) { e.str(s) }} }

func list(name string, l []string) field { return field{name, func(e *encoder) { e.list(l) }} }

func state(name string, s *FileState) field { return field{name, func(e *encoder) { e.state(s) }} }

// WaitingDigest is the hex SHA-256 over the digests of all operations that wait, in order: what an approval of the session names.
// It is "" where nothing waits.
func (s *Session) WaitingDigest() string {
	var digests []string
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == Waiting {
			digests = append(digests, o.Digest)
		}
	}
	if digests == nil {
		return ""
	}
	e := encoder{}
	e.str(digestWaiting)
	e.list(digests)
	return SHA256Hex(e.b)
}

// WaitingDigestOf is the waiting digest of several sessions, which an approval of a group names; "" where nothing waits in any.
func WaitingDigestOf(sessions []Session) string {
	sessions = slices.SortedFunc(slices.Values(sessions), func(a, b Session) int { return strings.Compare(a.ID, b.ID) })
	var waiting []string
	for i := range sessions {
		if d := sessions[i].WaitingDigest(); d != "" {
			waiting = append(waiting, sessions[i].ID, d)
		}
	}
	if waiting == nil {
		return ""
	}
	e := encoder{}
	e.str(digestWaitingGroup)
	e.list(waiting)
	return SHA256Hex(e.b)
}

// SHA256Hex is the SHA-256 of b in lower-case hex.
func SHA256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
