package change

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// StateOf is what a target has found, as a record has it.
func StateOf(s *targets.State) *journal.FileState {
	if s == nil {
		return nil
	}
	f := &journal.FileState{Mode: s.Mode, UID: s.UID, GID: s.GID, Size: s.Size, Mtime: s.Mtime.UTC(), Link: journal.Exact(s.Link)}
	if s.Hashed {
		f.SHA256 = hex.EncodeToString(s.SHA256[:])
	}
	return f
}

// TargetState is what a target compares with.
func TargetState(f *journal.FileState) *targets.State {
	if f == nil {
		return nil
	}
	s := &targets.State{Mode: f.Mode, UID: f.UID, GID: f.GID, Size: f.Size, Mtime: f.Mtime, Link: string(f.Link)}
	s.SHA256, s.Hashed = hashFrom(f.SHA256)
	return s
}

func hashFrom(text string) (sum [32]byte, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [32]byte(b), true
}

// TargetChange is what the target is told to do. id names its temporary files.
func TargetChange(f *journal.File, id string, blobs journal.Blobs) targets.Change {
	c := targets.Change{
		ID: id, Op: targets.FileOp(f.Op), Path: string(f.Path), To: string(f.To), Mode: f.Mode, UID: f.UID, GID: f.GID, Mtime: f.Mtime,
		Size: f.Size, Was: TargetState(f.Was), WasTo: TargetState(f.WasTo),
	}
	if f.Op == journal.Write {
		c.SHA256, _ = hashFrom(f.SHA256)
		c.Content = func() (io.ReadCloser, error) {
			r, _, err := blobs.OpenBlob(f.SHA256)
			return r, err
		}
	}
	return c
}

// ID names the temporary files of an operation's change.
func ID(session string, n int) string { return fmt.Sprintf("%s-%d", session, n) }

// LookTime is how long a target may take to say what became of an earlier gateway's changes.
const LookTime = 30 * time.Second
