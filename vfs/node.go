package vfs

import (
	"crypto/sha256"
	"strings"
	"syscall"
	"time"
)

// node is a file that the overlay knows: made by the session, copied up from the target, or a directory of the target
// below which something was changed. Guarded by the session's lock.
type node struct {
	attributes
	directory
	content *content // regular files
	target  string   // symbolic links
	opens   int      // handles on the file
	role
	wished

	from    string // where a regular file was copied up from
	rebased bool   // a directory that the session made and the target has by now
}

// attributes are those of stat(2) that a node keeps itself.
type attributes struct {
	dev, ino            uint64
	mode                uint32
	uid, gid            uint32
	nlink               uint64
	size                int64
	atime, mtime, ctime time.Time
}

// directory is what a directory has. Where layer is set, the entries are laid over the layer's directory of the same path.
type directory struct {
	entries map[string]*entry
	layer   *layer
	scope   *scope
	front   *layer // of a union: what stands in front of the layer
}

// role is what a directory is there for, beside what the script makes of it.
type role struct {
	pinned  bool // a scratch directory, a mount, or above one: cannot be removed
	mount   bool
	scratch bool // a scratch directory, or above a mount within one
}

// wished are the attributes that differ from the target's by the script's wish.
type wished struct{ chmodded, chowned, touched bool }

// entry is what the overlay has under one name of a directory.
type entry struct {
	node   *node             // nil hides what the layer has
	origin *Origin           // what the target had under this name when it was first changed; nil for nothing
	old    map[string]*entry // what was removed from the directory that was here
	// rebased says that origin is what Rebase was told, not what the source was seen to have.
	rebased bool
	gone    bool // the target has nothing here by now; what the source may still say is hidden
}

// Origin is what the target held under a name when the session first changed it.
type Origin struct {
	Info   Info
	SHA256 [sha256.Size]byte // of a regular file's content, where Hashed
	Hashed bool
	Target string // of a symbolic link
}

func (o *overlay) nextIno() uint64 {
	o.ino++
	return o.ino
}

// newNode makes a node of the session's own, not yet under any name.
func (o *overlay) newNode(mode uint32) *node {
	now := o.config.Now()
	n := &node{attributes: attributes{
		dev: overlayDev, ino: o.nextIno(), mode: mode, uid: o.config.UID, gid: o.config.GID,
		atime: now, mtime: now, ctime: now,
	}}
	if n.isDir() {
		n.entries, n.nlink = map[string]*entry{}, 2
	}
	return n
}

// adopt takes over the attributes of a layer's file.
func (n *node) adopt(info Info) {
	n.dev, n.ino, n.mode, n.uid, n.gid = info.Dev, info.Ino, info.Mode, info.UID, info.GID
	n.nlink, n.size = info.Nlink, info.Size
	n.atime, n.mtime, n.ctime = info.Atime, info.Mtime, info.Ctime
}

func (n *node) kind() uint32 { return n.mode & syscall.S_IFMT }
func (n *node) isDir() bool  { return n.kind() == syscall.S_IFDIR }

// info is stat(2) of the node.
func (n *node) info() (Info, error) {
	info := Info{
		Dev: n.dev, Ino: n.ino, Mode: n.mode, Nlink: n.nlink, UID: n.uid, GID: n.gid, Size: n.size,
		Atime: n.atime, Mtime: n.mtime, Ctime: n.ctime,
	}
	if n.content != nil {
		if err := n.content.stat(&info); err != nil {
			return Info{}, errno(err)
		}
		if n.ctime.After(info.Ctime) {
			info.Ctime = n.ctime
		}
	}
	if n.kind() == syscall.S_IFLNK {
		info.Size = int64(len(n.target))
	}
	return info, nil
}

// changed marks a directory whose entries changed. links is how its number of links does.
func (n *node) changed(now time.Time, links int) {
	n.mtime, n.ctime = now, now
	if n.nlink >= 2 { // 1 stands for a number that is not told
		n.nlink = uint64(max(2, int64(n.nlink)+int64(links)))
	}
}

// put places a node under a name of a directory that the overlay holds.
func (o *overlay) put(dir *node, name string, n *node) {
	e := dir.entries[name]
	if e == nil {
		e = &entry{}
		dir.entries[strings.Clone(name)] = e
	} else {
		o.nodes-- // what hid the target's file
	}
	e.node = n
	links := 0
	if n.isDir() {
		links = 1
	} else {
		n.nlink++
		n.ctime = o.config.Now()
	}
	dir.changed(o.config.Now(), links)
}

// take removes a node from a name. What the target has there stays hidden.
func (o *overlay) take(dir *node, name string) {
	e := dir.entries[name]
	n := e.node
	links := 0
	if n.isDir() {
		links = -1
		o.moves++
		if n.layer != nil || n.rebased {
			e.old = n.entries
		}
	}
	e.node = nil
	if e.origin == nil && !e.gone {
		delete(dir.entries, name)
	} else {
		o.nodes++ // the entry stays and hides the target's file
	}
	dir.changed(o.config.Now(), links)
	o.unlinked(n)
}

// unlinked drops a name's share in a node, and the node with its last name and handle.
func (o *overlay) unlinked(n *node) {
	if n.isDir() {
		n.nlink = 0
		o.nodes--
		return
	}
	n.nlink--
	n.ctime = o.config.Now()
	o.release(n)
}

// release frees a file that has neither a name nor a handle.
func (o *overlay) release(n *node) {
	if n.nlink > 0 || n.opens > 0 || n.isDir() {
		return
	}
	o.nodes--
	if n.content != nil {
		o.held.drop(n.content)
		n.content = nil
	}
	o.held.addText(-len(n.target))
}
