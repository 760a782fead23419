package journal

import (
	"fmt"
	"io"
	"strings"
)

// idAlphabet is Crockford's base32 in lower case: no i, l, o or u to be misread.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// idLength gives 40 random bits: enough that a guess among thousands of sessions fails, and the owner is checked anyway.
const idLength = 8

// NewID makes a session id.
func NewID(random io.Reader) (string, error) {
	var b [idLength]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a session id: %w", err)
	}
	for i, v := range b {
		b[i] = idAlphabet[v&31]
	}
	return string(b[:]), nil
}

// ValidID reports whether id could be a session's. An id is part of the names of files, so nothing else gets that far.
func ValidID(id string) bool {
	return len(id) == idLength && strings.Trim(id, idAlphabet) == ""
}

// groupMark begins the id of a group, which is longer than a session's by it.
const groupMark = "g"

// IsGroup reports whether an id is that of a group, and no session's.
func IsGroup(id string) bool {
	return len(id) == len(groupMark)+idLength && id[:len(groupMark)] == groupMark
}

// NewGroup makes an id for sessions that are started together.
func NewGroup(random io.Reader) (string, error) {
	id, err := NewID(random)
	return groupMark + id, err
}
