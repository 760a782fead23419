package vfs

import (
	"fmt"
	"strings"
)

// Verdict is what a read policy says of a path.
type Verdict uint8

// Verdicts.
const (
	Hidden   Verdict = iota // as if it did not exist
	Ancestor                // a directory on the way to something visible: it can be passed and listed
	Visible
)

// Policy says which paths of a target a session sees. It judges canonical paths only, one component after the other,
// so that a link in a visible place never opens a hidden one. A second name that the kernel itself gives a file, by a
// hard link or a bind mount, is another path and judged as such. It is immutable.
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
	root := &scope{verdict: Ancestor}
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

// scope is the position of all patterns at one directory.
type scope struct {
	verdict    Verdict
	read, hide []rest // what may still match further down; never empty ones
}

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

// judge gives the verdict on a child without making its scope.
func (sc *scope) judge(name string) Verdict {
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

// enter is the position at a child directory.
func (sc *scope) enter(name string) *scope {
	child := &scope{verdict: sc.judge(name)}
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
	return child
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
