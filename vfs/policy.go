package vfs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Verdict is what a read policy says of a path.
type Verdict uint8

// Verdicts.
const (
	Hidden   Verdict = iota // as if it did not exist
	Ancestor                // a directory on the way to something visible: it can be passed and listed
	Visible
)

// Policy says which paths of a target a session sees. It judges canonical paths only, one component after the other, so
// that a link in a visible place never opens a hidden one. A second name that the kernel itself gives a file, by a hard
// link or a bind mount, is another path. A Policy is immutable.
type Policy struct{ root *scope }

// maxPatterns bounds what one lookup costs.
const maxPatterns = 4096

// NewPolicy compiles a policy. A pattern is an absolute path, and a directory covers what is below it; "*" stands for
// any characters within a component and "**", alone in its component, for any number of components, none included. A
// pattern that begins with "**/" is absolute too. Every other character means itself. hide wins over read; what
// neither names is hidden.
func NewPolicy(read, hide []string) (*Policy, error) {
	if len(read)+len(hide) > maxPatterns {
		return nil, fmt.Errorf("read policy: more than %d patterns", maxPatterns)
	}
	root := &scope{verdict: Ancestor, known: &positions{all: map[string]*scope{}}}
	for _, text := range read {
		p, err := parsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("read policy: read pattern %q: %w", text, err)
		}
		if root.read = p.advance(root.read); p.matches() {
			root.verdict = Visible
		}
	}
	for _, text := range hide {
		p, err := parsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("read policy: hide pattern %q: %w", text, err)
		}
		if p.matches() {
			return nil, fmt.Errorf("read policy: hide pattern %q would hide everything", text)
		}
		root.hide = p.advance(root.hide)
	}
	if root.verdict == Visible {
		root.read = nil
	}
	return &Policy{root: root}, nil
}

// Decide judges a clean absolute path, as a whole. Ancestor is for directories only: anything else at such a path is
// hidden.
func (p *Policy) Decide(name string) Verdict {
	sc := p.start()
	for _, component := range strings.Split(strings.Trim(name, "/"), "/") {
		if component == "" {
			continue
		}
		if sc = sc.enter(component); sc.verdict == Hidden {
			return Hidden
		}
	}
	return sc.verdict
}

// start is the position at the root directory. No policy at all shows everything.
func (p *Policy) start() *scope {
	if p == nil {
		return everything
	}
	return p.root
}

// scope is the position of all patterns at one directory. No pattern names most of what is in it, and what the patterns
// name means the same each time. So a scope remembers what it found, for all sessions that have the policy.
type scope struct {
	verdict    Verdict
	read, hide []rest // what may still match further down; never empty ones

	known *positions // where scopes are looked for before a new one is made
	brief bool       // there are too many: this one remembers nothing, and nobody remembers it
	once  sync.Once  // for the following
	named map[string]*branch
	other *branch  // for every other name that none of stars matches
	stars []string // patterns of the next component that have a "*"
}

// branch is what the patterns say of a child, and of what is below it.
type branch struct {
	name    string
	verdict Verdict
	child   atomic.Pointer[scope]
}

// positions are the scopes of a policy.
type positions struct {
	mu  sync.Mutex
	all map[string]*scope // by what is still to match
}

// maxPositions bounds the scopes that a policy remembers. Ordinary policies have a few dozen.
const maxPositions = 4096

var (
	everything = &scope{verdict: Visible}
	nothing    = &scope{verdict: Hidden}
)

// rest is the part of a pattern that has not matched yet.
type rest []string

func parsePattern(text string) (rest, error) {
	if strings.HasPrefix(text, "**/") {
		text = "/" + text
	}
	switch {
	case !strings.HasPrefix(text, "/"):
		return nil, fmt.Errorf("begin it with / or **/")
	case strings.ContainsRune(text, 0):
		return nil, fmt.Errorf("it holds a NUL")
	case len(text) > maxPath:
		return nil, fmt.Errorf("it is longer than %d bytes", maxPath)
	}
	var p rest
	for _, c := range strings.Split(text, "/") {
		switch {
		case c == "":
			continue
		case c == "." || c == "..":
			return nil, fmt.Errorf("%q has no meaning in a pattern", c)
		case c == "**" && len(p) > 0 && p[len(p)-1] == "**":
			continue
		case c != "**" && strings.Contains(c, "**"):
			return nil, fmt.Errorf("** stands for whole components, write /**/")
		}
		p = append(p, c)
	}
	return p, nil
}

// matches reports whether the pattern is used up: "**" may stand for nothing.
func (r rest) matches() bool { return len(r) == 0 || len(r) == 1 && r[0] == "**" }

// advance adds what may match further down to the list.
func (r rest) advance(to []rest) []rest {
	if len(r) == 0 {
		return to
	}
	return append(to, r)
}

// step matches one component. It calls yield with each remainder until that returns true, and reports whether it did.
func (r rest) step(name string, yield func(rest) bool) bool {
	if r[0] == "**" {
		if yield(r) {
			return true
		}
		r = r[1:]
	}
	return len(r) > 0 && matchComponent(r[0], name) && yield(r[1:])
}

// next is the component that a pattern wants next, where it is not satisfied by any.
func (r rest) next() string {
	if r[0] == "**" {
		r = r[1:]
	}
	if len(r) == 0 {
		return ""
	}
	return r[0]
}

// judge gives the verdict on a child without making its scope.
func (sc *scope) judge(name string) Verdict {
	if sc.verdict == Visible && len(sc.hide) == 0 {
		return Visible
	}
	if b := sc.branch(name); b != nil {
		return b.verdict
	}
	return sc.weigh(name)
}

// enter is the position at a child directory.
func (sc *scope) enter(name string) *scope {
	b := sc.branch(name)
	if b == nil {
		return sc.descend(name)
	}
	child := b.child.Load()
	if child == nil {
		if child = sc.descend(b.name); !child.brief {
			b.child.Store(child)
		}
	}
	return child
}

// branch is what is remembered of a name, nil where a "*" matches it.
func (sc *scope) branch(name string) *branch {
	if sc.brief {
		return nil
	}
	sc.once.Do(sc.branchOut)
	for _, pattern := range sc.stars {
		if matchComponent(pattern, name) {
			return nil
		}
	}
	if b := sc.named[name]; b != nil {
		return b
	}
	return sc.other
}

// branchOut judges the names that patterns have next, and one that no pattern has: no component holds a slash.
func (sc *scope) branchOut() {
	sc.named = map[string]*branch{}
	for _, list := range [][]rest{sc.hide, sc.read} {
		for _, r := range list {
			switch name := r.next(); {
			case strings.Contains(name, "*"):
				sc.stars = append(sc.stars, name)
			case name != "" && sc.named[name] == nil:
				sc.named[name] = &branch{name: name, verdict: sc.weigh(name)}
			}
		}
	}
	slices.Sort(sc.stars)
	sc.stars = slices.Compact(sc.stars)
	sc.other = &branch{name: "/", verdict: sc.weigh("/")}
}

// weigh is judge, pattern by pattern.
func (sc *scope) weigh(name string) Verdict {
	for _, r := range sc.hide {
		if r.step(name, rest.matches) {
			return Hidden
		}
	}
	if sc.verdict == Visible {
		return Visible
	}
	verdict := Hidden
	for _, r := range sc.read {
		if r.step(name, func(left rest) bool { verdict = Ancestor; return left.matches() }) {
			return Visible
		}
	}
	return verdict
}

// descend is enter, pattern by pattern.
func (sc *scope) descend(name string) *scope {
	child := &scope{verdict: sc.weigh(name), known: sc.known}
	if child.verdict == Hidden {
		return nothing
	}
	collect := func(from []rest) (to []rest) {
		for _, r := range from {
			r.step(name, func(left rest) bool { to = left.advance(to); return false })
		}
		return unique(to)
	}
	child.hide = collect(sc.hide)
	if child.verdict != Visible {
		child.read = collect(sc.read)
	}
	if child.verdict == Visible && len(child.hide) == 0 {
		return everything
	}
	return sc.known.find(child)
}

// find returns the scope that stands where a new one does.
func (p *positions) find(sc *scope) *scope {
	key := []byte{byte(sc.verdict)}
	for _, list := range [][]rest{sc.read, sc.hide} {
		for _, r := range list {
			key = fmt.Appendf(key, "%p %d ", &r[0], len(r))
		}
		key = append(key, '|')
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.all[string(key)]; old != nil {
		return old
	}
	if sc.brief = len(p.all) >= maxPositions; !sc.brief {
		p.all[string(key)] = sc
	}
	return sc
}

// unique drops repeated remainders, which "**" makes on every level.
func unique(list []rest) []rest {
	kept := list[:0]
next:
	for _, r := range list {
		for _, k := range kept {
			if len(k) == len(r) && &k[0] == &r[0] {
				continue next
			}
		}
		kept = append(kept, r)
	}
	return kept
}

// matchComponent matches one component against a pattern in which "*" stands for any run of bytes.
func matchComponent(pattern, name string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, more, again := strings.Cut(tail, "*")
		if !again {
			return strings.HasSuffix(name, part)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, tail = name[at+len(part):], more
	}
}
