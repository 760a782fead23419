package vfs

import (
	"slices"
	"strings"
	"syscall"
)

// Ahead tells of what a script comes to next, before it asks for it: directories below directories, and what is in small files.
// It tells what the session's own methods would, and leaves to them what is dear, changed or not at hand.
type Ahead struct{ s *Session }

// AheadOf tells of a session's files.
func AheadOf(s *Session) Ahead { return Ahead{s} }

// TreeBound is how much one question about a tree may bring.
type TreeBound struct {
	Directories int
	Entries     int // of all directories in sum
}

// TreeWish says which entries of its directories are described.
type TreeWish struct {
	Files bool // all, as Lstat does; else directories alone
	Links bool // also what links lead to, as Stat does
}

// A Listed is one directory of a tree. What is said of its entries has Mode 0 where nothing is known.
type Listed struct {
	Path    string // below the directory that was asked about, without a slash at either end
	Entries []Dirent
	Lstat   []Info // what Lstat says of each entry that was to be described, in their order
	Stat    []Info // what Stat says of each link, where that was wished for
}

// treeSource is a source that lists directories below directories without a look at each of their paths' components.
type treeSource interface {
	// ListTree lists the directories of these names in dir, and what is below each, as long as t says so.
	ListTree(dir string, names []string, t *treeWalk) error
}

// ListTree lists directories in dir by their names, and the directories below them, in the order in which a walk from the top
// comes to them, until there would be more than the bound, of which it takes away what it lists: all of it where it would be more. It goes through no link and into no other file system. It leaves out what is hidden and all directories
// that the session has changed anything in: a script that lists one of those by its name gets the answer. EOPNOTSUPP where the
// directory's source can do no such thing.
func (a Ahead) ListTree(dir string, names []string, wish TreeWish, bound *TreeBound) ([]Listed, error) {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(dir, followLast, &f); err != nil {
		return nil, err
	}
	if f.kind != syscall.S_IFDIR {
		return nil, syscall.ENOTDIR
	}
	l := f.layer
	if l == nil || !l.base || f.node != nil && f.node.front != nil {
		return nil, syscall.EOPNOTSUPP
	}
	source, ok := l.source.(treeSource)
	if !ok {
		return nil, syscall.EOPNOTSUPP
	}
	t := &treeWalk{layer: l, wish: wish, left: bound, root: f.spot}
	err := source.ListTree(l.rel(f.path), slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !validName(name) }), t)
	if err != nil {
		return nil, errno(err)
	}
	if wish.Links {
		s.followAll(strings.Clone(f.path), t.out)
	}
	return t.out, nil
}

// followAll describes what those links of listed directories lead to that lead out of their directory, as long as that does not
// take long.
func (v *view) followAll(dir string, all []Listed) {
	steps := 0
	for d := range all {
		link := -1
		for _, e := range all[d].Entries {
			if e.Type != syscall.S_IFLNK {
				continue
			}
			link++
			if all[d].Stat[link].Mode != 0 || steps >= maxFollowing {
				continue
			}
			if info, err := v.followed(join(join(dir, all[d].Path), e.Name)); err == nil {
				all[d].Stat[link] = info
			}
			steps += max(1, v.walker.steps)
		}
	}
}

// treeWalk is the policy's part of one question about a tree.
type treeWalk struct {
	layer *layer
	wish  TreeWish
	left  *TreeBound
	root  spot
	out   []Listed
}

// child is where a directory stands in the policy. It reports false for one that is not told of ahead.
func (t *treeWalk) child(parent *scope, node *node, name string, path int) (*scope, bool) {
	if node != nil && node.entries[name] != nil || path+1+len(name) > maxPath || len(name) > maxName {
		return nil, false
	}
	sc := parent.enter(name)
	return sc, sc.verdict != Hidden
}

// shown leaves the entries of a directory that the view has, ordered by name. It reports false where not all types are known.
func (t *treeWalk) shown(sc *scope, entries []Dirent) ([]Dirent, bool) {
	known := true
	entries = slices.DeleteFunc(entries, func(d Dirent) bool {
		known = known && d.Type != 0
		if !validName(d.Name) {
			return true
		}
		if sc == everything {
			return false
		}
		verdict := sc.judge(d.Name)
		return verdict == Hidden || verdict == Ancestor && d.Type != syscall.S_IFDIR
	})
	slices.SortFunc(entries, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) })
	return entries, known
}

// maxChain is how many links, one after the other, are followed within a directory.
const maxChain = 8

// beside is where a link's text leads where that is a name in its own directory, which no policy has anything against.
func (t *treeWalk) beside(sc *scope, text string) bool {
	return validName(text) && (sc == everything || sc.judge(text) == Visible)
}

// tell is what the view says of an entry that the source described, nothing where it says nothing ahead.
func (t *treeWalk) tell(sc *scope, d Dirent, info Info) Info {
	if info.Type() != d.Type || !info.IsDir() && sc != everything && sc.judge(d.Name) == Ancestor {
		return Info{}
	}
	info, _ = t.layer.told(info, nil) // no error stays none
	return info
}
