package approvals

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

func stateOf(s *targets.State) *journal.FileState {
	if s == nil {
		return nil
	}
	f := &journal.FileState{Mode: s.Mode, UID: s.UID, GID: s.GID, Size: s.Size, Mtime: s.Mtime.UTC(), Link: journal.Exact(s.Link)}
	if s.Hashed {
		f.SHA256 = hex.EncodeToString(s.SHA256[:])
	}
	return f
}

// state is what a target compares with.
func targetState(f *journal.FileState) *targets.State {
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

// change is what the target is told to do. id names its temporary files.
func targetChange(f *journal.File, id string, blobs journal.Blobs) targets.Change {
	c := targets.Change{
		ID: id, Op: targets.FileOp(f.Op), Path: string(f.Path), To: string(f.To), Mode: f.Mode, UID: f.UID, GID: f.GID, Mtime: f.Mtime,
		Size: f.Size, Was: targetState(f.Was), WasTo: targetState(f.WasTo),
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

// changeID names the temporary files of an operation's change.
func changeID(session string, n int) string { return fmt.Sprintf("%s-%d", session, n) }

// lookTime is how long a target may take to say what became of an earlier gateway's changes.
const lookTime = 30 * time.Second
