// Package change brings changes of files from a script's view to a target: what a script has changed as operations, with what
// was there before kept; how much harm one may do; what a target is told to do; and, after a crash or a lost connection, what
// became of it. It decides nothing and records nothing: its callers do. Begin with workspace.go.
package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// maxHashed is how large a file may be that is read before it is removed or replaced, in bytes. Of a larger one only
// size and time are compared.
const maxHashed = 1 << 30

// Config is what a workspace needs.
type Config struct {
	Target     targets.Target
	Blobs      journal.Blobs // nil where files are not changed
	Checkpoint int64         // bytes that are kept of what files held before; 0 means no limit
	Began      time.Time     // when the script's run began
}

// Workspace is a script's view of files, and what they were on the target. It has no lock: collect and what follows from it
// are called one at a time.
type Workspace struct {
	config       Config
	view         Files                 // what the script has changed, nil where it has no files
	hidden       func(string) bool     // what the read policy does not show
	base         vfs.Source            // what the view is laid over
	snapshot     *vfs.Snapshot         // base of a script that runs again
	last         map[string]int        // by path: the last change that an earlier run made
	origins      map[*vfs.Origin]known // what files were before the first change
	checkpointed int64                 // bytes that were kept of them
}

// NewWorkspace makes the workspace of one run.
func NewWorkspace(c Config) *Workspace {
	return &Workspace{config: c, origins: map[*vfs.Origin]known{}}
}

// Pending is an operation on its way into the journal.
type Pending struct {
	of []vfs.Change // one, or several that are made as one; none for a command
	Op journal.Operation
	// First is what happens to a new one when it is taken in.
	First journal.Event
	Old   bool // of an earlier run, or of an earlier command that still waits
}

// known is what was found out about an origin.
type known struct {
	state *journal.FileState
	kept  bool
	lost  string
}

// Files is what a script has changed in its own view, and not yet on the target; *vfs.Session is one.
type Files interface {
	// Changes lists what differs from the target, in an order in which it can be done.
	Changes() []vfs.Change
	// Rebase says that changes were made.
	Rebase(changes []vfs.Change)
	// Refresh lets the view show what a command has changed.
	Refresh()
	// Scratch lists what scratch holds at a path and below.
	Scratch(name string) ([]vfs.Change, error)
}

// SetFiles gives the session the view whose changes it is to make on the target. hidden says which paths the read
// policy does not show. It is called once, before the script runs; without it nothing of files is changed.
func (w *Workspace) SetFiles(view Files, hidden func(path string) bool) {
	w.view, w.hidden = view, hidden
}

// Source is what a script's view is laid over: the target's files, or for a script that runs again what they were
// before its own changes, earlier ones, were made.
func (w *Workspace) Source(base vfs.Source, earlier []journal.Operation) vfs.Source {
	w.base = base
	if snapshot := w.remember(base, earlier); snapshot != nil {
		w.snapshot, w.base = snapshot, snapshot
	}
	return w.base
}

// Collect lists the changes that have not been made, as operations with their contents kept. known says of a digest that
// nobody is to be asked about it again, or which operation waits for it already, 0 for none. room says why there is no room for
// so many new operations, before any content is kept.
func (w *Workspace) Collect(ctx context.Context, known func(digest string) (skip bool, n int), room func(n int) error) ([]*Pending, error) {
	if w.view == nil {
		return nil, nil
	}
	var out []*Pending
	for _, c := range w.view.Changes() {
		if last := len(out) - 1; last >= 0 && c.Op == "chown" && out[last].of[0].Op == "chmod" && out[last].of[0].Path == c.Path {
			out[last].of = append(out[last].of, c)
			continue
		}
		out = append(out, &Pending{of: []vfs.Change{c}})
	}
	kept, fresh := out[:0], 0
	for _, c := range out {
		f, err := w.file(ctx, c.of[len(c.of)-1])
		if err != nil {
			return nil, err
		}
		c.Op = journal.Operation{Kind: f.Kind(), File: f, Digest: f.Digest()}
		skip, n := known(c.Op.Digest)
		if skip {
			continue
		}
		kept = append(kept, c)
		if n > 0 {
			c.Op.N, c.Old = n, true
			continue
		}
		fresh++
	}
	if err := room(fresh); err != nil {
		return nil, err
	}
	for _, c := range kept {
		if c.Old {
			continue
		}
		if err := w.keepContent(ctx, c); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// file makes the record of a change.
func (w *Workspace) file(ctx context.Context, c vfs.Change) (*journal.File, error) {
	f := &journal.File{Op: journal.Kind(c.Op), Target: w.config.Target.Name(), RunAs: w.config.Target.Account().Name, Path: journal.Exact(c.Path)}
	perms := func() {
		f.Perms, f.Mode, f.UID, f.GID = true, c.Info.Mode&0o7777, c.Info.UID, c.Info.GID
	}
	switch c.Op {
	case "write", "link":
		f.Op, f.SHA256, f.Size = journal.Write, hex.EncodeToString(c.SHA256[:]), c.Info.Size
		perms()
		if c.Touched && c.Info.Mtime.Before(w.config.Began) { // a copy with its times, an archive
			f.Mtime = c.Info.Mtime.UTC()
		}
	case "mkdir", "chmod", "chown":
		perms()
	case "symlink":
		perms()
		f.To = journal.Exact(c.Target)
	case "rename":
		f.To = journal.Exact(c.Target)
	case "utimes":
		f.Op = journal.Touch
		if c.Info.Mtime.Before(w.config.Began) { // else "now", which is another moment in each run
			f.Mtime = c.Info.Mtime.UTC()
		}
	}
	f.Kept = true
	var err error
	if f.Was, err = w.was(ctx, f, c.Path, c.Origin); err != nil {
		return nil, err
	}
	if c.Op == "rename" {
		f.WasTo, err = w.was(ctx, f, c.Target, c.Over)
	}
	return f, err
}

// was describes what a change replaces, and keeps its content for a rollback. It is read once for each origin.
func (w *Workspace) was(ctx context.Context, f *journal.File, path string, o *vfs.Origin) (*journal.FileState, error) {
	if o == nil {
		return nil, nil
	}
	k, ok := w.origins[o]
	if !ok {
		k.state = &journal.FileState{Mode: o.Info.Mode, UID: o.Info.UID, GID: o.Info.GID, Mtime: o.Info.Mtime.UTC(), Link: journal.Exact(o.Target)}
		k.kept = true
		switch o.Info.Type() {
		case syscall.S_IFREG:
			k.state.Size = o.Info.Size
			if o.Hashed {
				k.state.SHA256 = hex.EncodeToString(o.SHA256[:])
			}
			if err := w.checkpoint(ctx, path, &k); err != nil {
				return nil, err
			}
		case syscall.S_IFDIR, syscall.S_IFLNK:
		default:
			k.kept, k.lost = false, "it is a device, FIFO or socket"
		}
		w.origins[o] = k
	}
	if !k.kept {
		f.Kept, f.Lost = false, k.lost
	}
	return k.state.Clone(), nil
}

// checkpoint keeps what a regular file of the target holds, before its first change. What cannot be kept is said and no
// error: the human decides.
func (w *Workspace) checkpoint(ctx context.Context, path string, k *known) error {
	lose := func(format string, args ...any) error {
		k.kept, k.lost = false, render.Line(fmt.Sprintf(format, args...)).String() // an error may hold a target's words
		return nil
	}
	limit := w.config.Checkpoint
	left := limit - w.checkpointed
	if limit > 0 && k.state.Size > left {
		k.kept, k.lost = false, fmt.Sprintf("limits.checkpoint keeps %d bytes for a session", limit)
	}
	if !k.kept && k.state.SHA256 != "" {
		return nil
	}
	if k.state.Size > maxHashed && k.state.SHA256 == "" {
		return lose("it is larger than %d bytes", maxHashed)
	}
	fd, err := w.base.Open(path, syscall.O_RDONLY)
	if err != nil {
		return lose("it cannot be read (%v)", err)
	}
	file := os.NewFile(uintptr(fd), "origin") // #nosec G115 -- a descriptor
	defer func() { _ = file.Close() }()
	most := int64(maxHashed)
	if limit > 0 && k.kept {
		most = max(left, 1)
	}
	var sum string
	var size int64
	if k.kept {
		sum, size, err = w.config.Blobs.PutBlob(ctx, file, most)
	} else {
		sum, size, err = hashReader(io.LimitReader(file, most))
	}
	switch {
	case errors.Is(err, journal.ErrTooLarge):
		return lose("it is larger than %d bytes by now", most)
	case err != nil:
		return fmt.Errorf("keep what %q holds: %w", path, err)
	case size != k.state.Size, k.state.SHA256 != "" && sum != k.state.SHA256:
		return lose("it has changed on the target since the script saw it")
	}
	k.state.SHA256 = sum
	if k.kept {
		w.checkpointed += size
	}
	return nil
}

// keepContent keeps what is to be written. The record names what was kept, whatever the script writes meanwhile.
func (w *Workspace) keepContent(ctx context.Context, c *Pending) error {
	f := c.Op.File
	if f.Op != journal.Write {
		return nil
	}
	last := &c.of[len(c.of)-1]
	sum, size, err := w.keepWritten(ctx, *last)
	if err != nil {
		return fmt.Errorf("keep what was written to %q: %w", last.Path, err)
	}
	if sum != f.SHA256 || size != f.Size {
		f.SHA256, f.Size = sum, size
		last.SHA256, _ = hashFrom(sum)
		last.Info.Size = size
		c.Op.Digest = f.Digest()
	}
	return nil
}

func (w *Workspace) keepWritten(ctx context.Context, c vfs.Change) (sha string, size int64, err error) {
	fd, err := c.Open()
	if err != nil {
		return "", 0, err
	}
	file := os.NewFile(uintptr(fd), "written") // #nosec G115 -- a descriptor
	defer func() { _ = file.Close() }()
	return w.config.Blobs.PutBlob(ctx, file, 0) // the view bounds it: limits.write
}

// Judge completes a new operation on a file: judged, not yet numbered. exit is how the script ended, 0 before it has.
func (w *Workspace) Judge(c *Pending, exit int, now time.Time) {
	f := c.Op.File
	d := Judge(f)
	if (&Contents{Blobs: w.config.Blobs}).Unshown(f) {
		d.Reason += "; what it writes is NOT shown: it is no text, or too large"
		if d.Risk == policy.Safe {
			d.Risk = policy.Unknown
		}
	}
	if exit != 0 {
		d.Reason += fmt.Sprintf("; the script ended with exit status %d", exit)
	}
	c.Op.Summary, c.Op.Created = f.Summary().String(), now
	c.Op.Verdict, c.Op.Risk, c.Op.Why, c.First = d.Verdict, d.Risk, d.Reason, journal.Event{What: journal.Ask}
	if why := deniedChange(f, w.hidden); why != "" {
		c.Op.Verdict, c.Op.Why, c.First = policy.Deny, why, journal.Event{What: journal.Deny, At: now}
	}
}

// Scratch lists the files of scratch that a command names, without their contents. It looks at the command's directory, its words,
// and the words of shell text or of any other text in them. A path that is cut short by an expansion stands for its folder.
func (w *Workspace) Scratch(ctx context.Context, c *journal.Command) (found []*Pending, err error) {
	if w.view == nil {
		return nil, nil
	}
	seen := map[string]bool{}
	names := []string{c.Dir}
	for _, word := range c.Argv {
		names = append(names, pathsIn(word)...)
		if !strings.HasPrefix(word, "/") && len(word) < 4096 {
			names = append(names, c.Dir+"/"+word)
		}
	}
	if len(names) > maxNamed {
		return nil, &journal.DenialError{Reason: fmt.Sprintf("the command names more than %d paths", maxNamed)}
	}
	for _, name := range names {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if len(name) > 4095 || seen[name] || strings.IndexByte(name, 0) >= 0 {
			continue
		}
		seen[name] = true
		listed, err := w.view.Scratch(name)
		if err != nil {
			return nil, err
		}
		for _, s := range listed {
			if seen["="+s.Path] {
				continue
			}
			seen["="+s.Path] = true
			f, err := w.file(ctx, s)
			if err != nil {
				return nil, err
			}
			if len(found) >= maxPlaced {
				return nil, syscall.E2BIG
			}
			found = append(found, &Pending{of: []vfs.Change{s}, Op: journal.Operation{File: f}})
		}
	}
	return found, nil
}

// KeepScratch keeps the contents of what goes with a command, and names them in its record.
func (w *Workspace) KeepScratch(ctx context.Context, c *journal.Command, found []*Pending) error {
	for _, one := range found {
		if err := w.keepContent(ctx, one); err != nil {
			return err
		}
		c.Scratch = append(c.Scratch, *one.Op.File)
	}
	return nil
}

// maxNamed bounds the paths that are looked for in one command, maxPlaced the files of scratch that go with it.
const (
	maxNamed  = 1000
	maxPlaced = 1000
)

// pathsIn finds absolute paths in a word: at its start, and wherever a slash follows what cannot be part of a name in
// shell text. What a shell would expand ends the path, and then its folder is meant.
func pathsIn(word string) (paths []string) {
	for at := 0; at < len(word); at++ {
		if word[at] != '/' || at > 0 && !strings.ContainsRune(" \t\n\r'\"=:,;|&<>()`{}@$\\", rune(word[at-1])) {
			continue
		}
		end := at
		for end < len(word) && !strings.ContainsRune(" \t\n\r'\"`;|&<>()$*?[]{}\\,:", rune(word[end])) {
			end++
		}
		name := word[at:end]
		if end < len(word) && strings.ContainsRune("$*?[]{}\\`\"'", rune(word[end])) {
			// The rest of the name is not known here.
			paths = append(paths, name[:strings.LastIndexByte(name, '/')+1])
		}
		paths = append(paths, name)
		at = end
	}
	if strings.HasPrefix(word, "/") && !strings.Contains(word, "\n") {
		paths = append(paths, word) // an argument is one path, whatever is in it
	}
	return paths
}

// ExecutableScratch reports whether a path is a program among files of scratch.
func ExecutableScratch(found []*Pending, name string) bool {
	for _, c := range found {
		if f := c.Op.File; string(f.Path) == name && f.Op == journal.Write && f.Mode&0o111 != 0 {
			return true
		}
	}
	return false
}

// hashReader is the hash of what a reader gives.
func hashReader(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// remember makes the view of a script that runs again: every file that its earlier run has changed is at first what it
// was before, where that was kept. nil where nothing was changed.
func (w *Workspace) remember(base vfs.Source, earlier []journal.Operation) *vfs.Snapshot {
	files := map[string]*vfs.SnapshotFile{}
	w.last = map[string]int{}
	for i := range earlier {
		o := &earlier[i]
		if !o.Made() {
			continue
		}
		for path, was := range o.File.Before() {
			if _, ok := files[path]; !ok && (was == nil || o.File.Kept) {
				files[path] = w.snapshotFile(was)
			}
			w.last[path] = o.N
		}
	}
	if len(files) == 0 {
		return nil
	}
	return vfs.NewSnapshot(base, files)
}

func (w *Workspace) snapshotFile(s *journal.FileState) *vfs.SnapshotFile {
	if s == nil {
		return nil
	}
	p := &vfs.SnapshotFile{Target: string(s.Link), Info: vfs.Info{
		Mode: s.Mode, UID: s.UID, GID: s.GID, Size: s.Size, Blocks: (s.Size + 511) / 512, Nlink: 1, Atime: s.Mtime, Mtime: s.Mtime, Ctime: s.Mtime,
	}}
	if sha := s.SHA256; sha != "" {
		p.Content = func() (io.ReadCloser, error) {
			r, _, err := w.config.Blobs.OpenBlob(sha)
			return r, err
		}
	}
	return p
}

// Refresh lets the script see what a command has changed.
func (w *Workspace) Refresh() {
	if w.view != nil {
		w.view.Refresh()
	}
}

// Given reports whether the script has files at all.
func (w *Workspace) Given() bool { return w.view != nil }

// Changed reports whether the script has changed anything that is not made.
func (w *Workspace) Changed() bool { return w.view != nil && len(w.view.Changes()) > 0 }

// Made tells the view that the target has a change by now.
func (w *Workspace) Made(c *Pending) {
	w.view.Rebase(c.of)
	if w.snapshot != nil {
		w.reached(&c.Op)
	}
}

// Differs says that the script does something else than in its earlier run: it sees the files as they are now.
func (w *Workspace) Differs() {
	if w.snapshot != nil {
		w.snapshot.ReachAll()
	}
}

// reached says that the script has come to a change of its earlier run: what it reads from now on is what it read
// after it.
func (w *Workspace) reached(o *journal.Operation) {
	for path, now := range o.File.After() {
		if w.last[path] <= o.N {
			w.snapshot.Reach(path)
		} else {
			w.snapshot.Set(path, w.snapshotFile(now))
		}
	}
}
