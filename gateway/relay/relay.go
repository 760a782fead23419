// Package relay shows the files of targets to agents over SFTP, and by the protocol that scp(1) spoke before that. Below "/"
// is a directory for each target that the identity may use, and in it what the target's read policy shows. The package lays
// what a client wants to change over the target in memory, and hands it on to be decided. It knows views and targets, no
// session and no journal. It must never follow a link that the policy has not judged, and never change anything itself.
// Begin with Serve.
package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// Change is what a client wants changed on a target.
type Change struct {
	Target  targets.Target
	Summary string           // in words, for humans; not rendered
	View    *vfs.Session     // holds the change
	Base    vfs.Source       // the files that it is laid over
	Told    func(id string)  // is called once it waits as a session of this id
	Queued  func(why string) // is called where it waits for a place among the sessions
}

// Options are what a relay is made of.
type Options struct {
	Targets []targets.Target // that the identity may use
	Policy  func(target string) *vfs.Policy
	// Opened hears of each file that a client wants to read, before the client sees anything of it: the name that it
	// asked for, where that led to, and why it is refused, if it is. It may take its time, which slows the client down.
	// An error refuses the file.
	Opened func(ctx context.Context, target, asked, path string, refused error) error
	// Ask brings a change before a human and returns once it is made; else the error says why it is not.
	Ask func(ctx context.Context, c Change) error
	// Changeable says why a path of a target cannot be changed whoever approves it, nil where it can be.
	Changeable func(target targets.Target, path string) error
	// Scratch are the directories that each script has for itself alone.
	Scratch []string
	// File takes a place for a file that is open; ok is false where there is none for this client's identity.
	File    func() (give func(), ok bool)
	MaxFile int64 // bytes of one upload; 0 means no limit
	// Upload takes a place for a change, whose content stays in memory until a human has decided. ok is false where there
	// is none for this client's identity.
	Upload  func() (give func(), ok bool)
	Notices io.Writer // lines for the human at the client, who sees them beside what their client says
	Log     *slog.Logger
}

// Bounds of one client.
const (
	maxOpen     = 128 // files at once
	maxListings = 8   // at once: each may hold all names of a large directory
	maxChanges  = 4   // at once, uploads among them, whose content is kept in memory
)

// relay serves one client.
type relay struct {
	o       Options
	ctx     context.Context
	open    chan struct{}
	lists   chan struct{}
	changes chan struct{}

	hint    sync.Once // how paths begin
	private sync.Once // whose a scratch directory is
	hidden  sync.Once // that the policy does not show everything

	mu      sync.Mutex
	trees   map[string]*tree
	uploads map[string]*upload // open ones, by the client's path
}

// tree is one target as the client sees it.
type tree struct {
	target targets.Target
	view   *vfs.Session
	base   vfs.Source
	remote targets.View // nil where the target is the gateway's own host
}

// Serve serves one client until it leaves or ctx ends.
func Serve(ctx context.Context, channel io.ReadWriteCloser, o Options) error {
	asking, gone := context.WithCancel(ctx)
	defer gone()
	r := newRelay(asking, o)
	defer r.close()
	stop := context.AfterFunc(ctx, func() { _ = channel.Close() })
	defer stop()
	// A client that sends no more reads no answer either: one of SFTP, or of scp, waits for the last one before.
	return newServer(r, channel).run(gone)
}

func newRelay(ctx context.Context, o Options) *relay {
	return &relay{
		o: o, ctx: ctx, open: make(chan struct{}, maxOpen), lists: make(chan struct{}, maxListings),
		changes: make(chan struct{}, maxChanges),
		trees:   map[string]*tree{}, uploads: map[string]*upload{},
	}
}

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.trees {
		t.close()
	}
	r.trees = nil
}

func (t *tree) close() {
	_ = t.view.Close()
	if t.remote != nil {
		_ = t.remote.Close()
	}
}

// notice says something to the human at the client. Arguments are rendered as render.Format does it.
func (r *relay) notice(format render.Words, args ...any) {
	_, _ = fmt.Fprintf(r.o.Notices, "shannot: %s\n", render.Format(format, args...))
}

// split parts a client's path into a target and a path there. The target is nil for "/".
func (r *relay) split(name string) (targets.Target, string, error) {
	name = path.Clean("/" + name)
	if name == "/" {
		return nil, "/", nil
	}
	first, rest, _ := strings.Cut(name[1:], "/")
	for _, t := range r.o.Targets {
		if t.Name() == first {
			return t, "/" + rest, nil
		}
	}
	r.hint.Do(func() {
		var names []string
		for _, t := range r.o.Targets {
			names = append(names, "/"+t.Name())
		}
		r.notice("paths begin with a target, which %s does not: %s", render.Line(name), render.Line(strings.Join(names, " ")))
	})
	return nil, "", syscall.ENOENT
}

// at returns the view of a target, made and connected where it is the first time.
func (r *relay) at(target targets.Target) (*tree, error) {
	r.mu.Lock()
	t := r.trees[target.Name()]
	r.mu.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := r.newTree(target)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch old := r.trees[target.Name()]; {
	case r.trees == nil:
		t.close()
		return nil, syscall.EIO
	case old != nil:
		t.close()
		return old, nil
	}
	r.trees[target.Name()] = t
	return t, nil
}

// newTree makes a view of a target.
func (r *relay) newTree(target targets.Target) (*tree, error) {
	t := &tree{target: target}
	policy := r.o.Policy(target.Name())
	var base vfs.Source
	if remote, ok := target.(targets.Remote); ok {
		if err := remote.Connect(r.ctx); err != nil {
			r.notice("%s", render.Line(err.Error()))
			return nil, syscall.EHOSTUNREACH
		}
		t.remote = remote.View(targets.ViewOptions{Policy: policy, Tell: func(line string) { r.notice("%s", render.Line(line)) }})
		base = t.remote
	} else {
		base = target.Files()
	}
	account := target.Account()
	view, err := vfs.NewSession(vfs.Config{
		Base: base, Policy: policy, MaxBytes: r.o.MaxFile, MaxFile: r.o.MaxFile, UID: account.UID, GID: account.GID,
	})
	if err != nil {
		if t.remote != nil {
			_ = t.remote.Close()
		}
		return nil, err
	}
	t.view, t.base = view, base
	return t, nil
}

// refresh lets the client see what was changed.
func (t *tree) refresh() {
	t.view.Refresh()
	if t.remote != nil {
		t.remote.Forget()
	}
}

// guard makes a panic in a handler the client's error, and nobody else's.
func (r *relay) guard(err *error) {
	if p := recover(); p != nil {
		r.o.Log.Error("panic in the file relay", "panic", p, "stack", string(debug.Stack()))
		*err = syscall.EIO
	}
}

// take takes a place among those of one kind, and reports false where there is none. give gives it back.
func take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

func give(places chan struct{}) { <-places }
