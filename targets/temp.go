package targets

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// Temporary names: recognisable, and of one change alone.
const (
	TempPrefix = ".shannot-"
	tempSuffix = ".tmp"
)

// TempName makes a name for a temporary file of the change with this ID.
func TempName(id string) (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return TempPrefix + id + "-" + hex.EncodeToString(b[:]) + tempSuffix, nil
}

// takenMark stands in the temporary name of a file that was there before a change.
const takenMark = "was-"

// TakenName is a temporary name for a file that a change takes away, and that nobody has verified since: Sweep puts it back.
func TakenName(id string) (string, error) {
	name, err := TempName(id)
	return strings.Replace(name, TempPrefix+id+"-", TempPrefix+id+"-"+takenMark, 1), err
}

// IsTakenName reports whether a name is that of a file that the change with this ID took away.
func IsTakenName(name, id string) bool {
	return IsTempName(name, id) && strings.HasPrefix(name, TempPrefix+id+"-"+takenMark)
}

// IsTempName reports whether a name is that of a temporary file of the change with this ID.
func IsTempName(name, id string) bool {
	return strings.HasPrefix(name, TempPrefix+id+"-") && strings.HasSuffix(name, tempSuffix)
}

// ValidID reports whether a change may have this ID.
func ValidID(id string) bool {
	return len(id) > 0 && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// CleanPath reports whether a path is one that a change may have: absolute and clean.
func CleanPath(name string) bool {
	return path.IsAbs(name) && path.Clean(name) == name && strings.IndexByte(name, 0) < 0
}

// Valid reports whether a change's ID and paths are such as Apply takes.
func (c *Change) Valid() bool {
	return ValidID(c.ID) && CleanPath(c.Path) && c.Path != "/" && (c.Op != Rename || CleanPath(c.To) && c.To != "/")
}

// Difference says in words how what is at a path differs from what was expected. It names no content.
func Difference(name string, have, want *State) string {
	switch {
	case have == nil:
		return name + " is gone"
	case want == nil:
		return name + " exists"
	case have.Type() != want.Type():
		return name + " is another kind of file"
	case have.Mode != want.Mode:
		return fmt.Sprintf("%s has the mode %04o, not %04o", name, have.Perm(), want.Perm())
	case have.UID != want.UID || have.GID != want.GID:
		return fmt.Sprintf("%s belongs to %d:%d, not %d:%d", name, have.UID, have.GID, want.UID, want.GID)
	case have.Link != want.Link:
		return name + " is a link to another place"
	}
	return name + " has another content"
}
