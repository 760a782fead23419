package approvals

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

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/vfs"
)

// maxHashed is how large a file may be that is read before it is removed or replaced, in bytes. Of a larger one only
// size and time are compared.
const maxHashed = 1 << 30

// SetFiles gives the session the view whose changes it is to make on the target. hidden says which paths the read
// policy does not show. It is called once, before the script runs; without it nothing of files is changed.
func (l *workspace) SetFiles(view Files, hidden func(path string) bool) {
	l.view, l.hidden = view, hidden
}

// Source is what a script's view is laid over: the target's files, or for a script that runs again what they were
// before its own changes were made.
func (l *Live) Source(base vfs.Source) vfs.Source {
	l.base = base
	if snapshot := l.remember(base, l.journal); snapshot != nil {
		l.snapshot, l.base = snapshot, snapshot
	}
	return l.base
}

// pending lists the changes that have not been made and that nobody has said no to, as operations with their contents
// kept. Called with the gate locked.
func (l *Live) pending(ctx context.Context) ([]*change, error) {
	if l.view == nil {
		return nil, nil
	}
	var out []*change
	for _, c := range l.view.Changes() {
		if last := len(out) - 1; last >= 0 && c.Op == "chown" && out[last].of[0].Op == "chmod" && out[last].of[0].Path == c.Path {
			out[last].of = append(out[last].of, c)
			continue
		}
		out = append(out, &change{of: []vfs.Change{c}})
	}
	kept, fresh := out[:0], 0
	for _, c := range out {
		f, err := l.file(ctx, c.of[len(c.of)-1])
		if err != nil {
			return nil, err
		}
		c.op = journal.Operation{Kind: f.Kind(), File: f, Digest: f.Digest()}
		if l.skip[c.op.Digest] {
			continue
		}
		kept = append(kept, c)
		if n := l.inflight[c.op.Digest]; n > 0 {
			c.op.N, c.old = n, true
			continue
		}
		fresh++
	}
	if err := l.roomFor(fresh); err != nil {
		return nil, err
	}
	for _, c := range kept {
		if c.old {
			continue
		}
		if err := l.keepContent(ctx, c); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// roomFor says early, before any content is kept, that the limit of operations leaves no room for so many more. What
// an earlier run has recorded needs none.
func (l *progress) roomFor(n int) error {
	l.lock.Lock()
	defer l.lock.Unlock()
	limit := l.rules.Limits.Operations
	if again := len(l.journal) - l.at; limit > 0 && l.count+n-again > limit {
		return &journal.DenialError{Reason: fmt.Sprintf("limits.operations allows %d operations in a session", limit)}
	}
	return nil
}

// file makes the record of a change.
func (l *workspace) file(ctx context.Context, c vfs.Change) (*journal.File, error) {
	f := &journal.File{Op: journal.Kind(c.Op), Target: l.target.Name(), RunAs: l.target.Account().Name, Path: journal.Exact(c.Path)}
	perms := func() {
		f.Perms, f.Mode, f.UID, f.GID = true, c.Info.Mode&0o7777, c.Info.UID, c.Info.GID
	}
	switch c.Op {
	case "write", "link":
		f.Op, f.SHA256, f.Size = journal.Write, hex.EncodeToString(c.SHA256[:]), c.Info.Size
		perms()
		if c.Touched && c.Info.Mtime.Before(l.began) { // a copy with its times, an archive
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
		if c.Info.Mtime.Before(l.began) { // else "now", which is another moment in each run
			f.Mtime = c.Info.Mtime.UTC()
		}
	}
	f.Kept = true
	var err error
	if f.Was, err = l.was(ctx, f, c.Path, c.Origin); err != nil {
		return nil, err
	}
	if c.Op == "rename" {
		f.WasTo, err = l.was(ctx, f, c.Target, c.Over)
	}
	return f, err
}

// was describes what a change replaces, and keeps its content for a rollback. It is read once for each origin.
func (l *workspace) was(ctx context.Context, f *journal.File, path string, o *vfs.Origin) (*journal.FileState, error) {
	if o == nil {
		return nil, nil
	}
	k, ok := l.origins[o]
	if !ok {
		k.state = &journal.FileState{Mode: o.Info.Mode, UID: o.Info.UID, GID: o.Info.GID, Mtime: o.Info.Mtime.UTC(), Link: journal.Exact(o.Target)}
		k.kept = true
		switch o.Info.Type() {
		case syscall.S_IFREG:
			k.state.Size = o.Info.Size
			if o.Hashed {
				k.state.SHA256 = hex.EncodeToString(o.SHA256[:])
			}
			if err := l.checkpoint(ctx, path, &k); err != nil {
				return nil, err
			}
		case syscall.S_IFDIR, syscall.S_IFLNK:
		default:
			k.kept, k.lost = false, "it is a device, FIFO or socket"
		}
		l.origins[o] = k
	}
	if !k.kept {
		f.Kept, f.Lost = false, k.lost
	}
	return k.state.Clone(), nil
}

// checkpoint keeps what a regular file of the target holds, before its first change. What cannot be kept is said and no
// error: the human decides.
func (l *workspace) checkpoint(ctx context.Context, path string, k *known) error {
	lose := func(format string, args ...any) error {
		k.kept, k.lost = false, render.Line(fmt.Sprintf(format, args...)).String() // an error may hold a target's words
		return nil
	}
	limit := l.rules.Limits.Checkpoint
	left := limit - l.checkpointed
	if limit > 0 && k.state.Size > left {
		k.kept, k.lost = false, fmt.Sprintf("limits.checkpoint keeps %d bytes for a session", limit)
	}
	if !k.kept && k.state.SHA256 != "" {
		return nil
	}
	if k.state.Size > maxHashed && k.state.SHA256 == "" {
		return lose("it is larger than %d bytes", maxHashed)
	}
	fd, err := l.base.Open(path, syscall.O_RDONLY)
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
		sum, size, err = l.m.config.Blobs.PutBlob(ctx, file, most)
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
		l.checkpointed += size
	}
	return nil
}

// keepContent keeps what is to be written. The record names what was kept, whatever the script writes meanwhile.
func (l *workspace) keepContent(ctx context.Context, c *change) error {
	f := c.op.File
	if f.Op != journal.Write {
		return nil
	}
	last := &c.of[len(c.of)-1]
	sum, size, err := l.keepWritten(ctx, *last)
	if err != nil {
		return fmt.Errorf("keep what was written to %q: %w", last.Path, err)
	}
	if sum != f.SHA256 || size != f.Size {
		f.SHA256, f.Size = sum, size
		last.SHA256, _ = hashFrom(sum)
		last.Info.Size = size
		c.op.Digest = f.Digest()
	}
	return nil
}

func (l *workspace) keepWritten(ctx context.Context, c vfs.Change) (sha string, size int64, err error) {
	fd, err := c.Open()
	if err != nil {
		return "", 0, err
	}
	file := os.NewFile(uintptr(fd), "written") // #nosec G115 -- a descriptor
	defer func() { _ = file.Close() }()
	return l.m.config.Blobs.PutBlob(ctx, file, 0) // the view bounds it: limits.write
}

// prepared completes a new operation on a file: judged, not yet numbered.
func (l *Live) prepared(c *change) {
	f, now := c.op.File, l.m.config.Now()
	d := judgeFile(f)
	if l.exit != 0 {
		d.Reason += fmt.Sprintf("; the script ended with exit status %d", l.exit)
	}
	c.op.Summary, c.op.Created = f.Summary().String(), now
	c.op.Verdict, c.op.Risk, c.op.Why, c.first = d.Verdict, d.Risk, d.Reason, journal.Event{What: journal.Ask}
	if why := deniedChange(f, l.hidden); why != "" {
		c.op.Verdict, c.op.Why, c.first = policy.Deny, why, journal.Event{What: journal.Deny, At: now}
	}
}

// scratch lists the files of scratch that a command names, without their contents: its directory, its words, and the words of shell text or of
// any other text in them. A path that is cut short by an expansion stands for its folder.
func (l *workspace) scratch(ctx context.Context, c *journal.Command) (found []*change, err error) {
	if l.view == nil {
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
		listed, err := l.view.Scratch(name)
		if err != nil {
			return nil, err
		}
		for _, s := range listed {
			if seen["="+s.Path] {
				continue
			}
			seen["="+s.Path] = true
			f, err := l.file(ctx, s)
			if err != nil {
				return nil, err
			}
			if len(found) >= maxPlaced {
				return nil, syscall.E2BIG
			}
			found = append(found, &change{of: []vfs.Change{s}, op: journal.Operation{File: f}})
		}
	}
	return found, nil
}

// keepScratch keeps the contents of what goes with a command, and names them in its record.
func (l *Live) keepScratch(ctx context.Context, c *journal.Command, found []*change) error {
	if len(found) == 0 {
		return nil
	}
	if err := l.roomFor(1); err != nil {
		return err
	}
	for _, one := range found {
		if err := l.keepContent(ctx, one); err != nil {
			return err
		}
		c.Scratch = append(c.Scratch, *one.op.File)
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

// executableScratch reports whether a path is a program among files of scratch.
func executableScratch(found []*change, name string) bool {
	for _, c := range found {
		if f := c.op.File; string(f.Path) == name && f.Op == journal.Write && f.Mode&0o111 != 0 {
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
