package approvals

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// GrantKind says what a grant lets run.
type GrantKind string

// Kinds of grants.
const (
	ExactGrant GrantKind = "exact" // the command that was approved, byte for byte, as its digest has it
	ShapeGrant GrantKind = "shape" // the same program with the same words, some of which may vary
)

// Grant is an approver's standing answer to a command that the policy asks about. It is made of an operation that this
// approver approved, names everything that must be the same, and never outlives its session or its time. What the policy denies
// stays denied.
type Grant struct {
	N    int
	Kind GrantKind
	// Session is the only session that the grant is for; empty for every session of the identity on the target, until Until.
	Session  string
	Identity string
	Target   string
	Until    time.Time // zero for the session's life

	RunAs, Path, Dir string
	Argv             Strings        // as it was approved
	Env, EnvChanges  Strings        // of a command that it covers, both are the same
	Digest           string         // of the operation that was approved
	Varies           []VaryingWord  `json:",omitempty"`
	From             GrantOperation // where it comes from

	By, ByKey string
	Created   time.Time
	Revoked   time.Time // zero while it is not
	RevokedBy string    `json:",omitempty"`
}

// GrantOperation names an operation.
type GrantOperation struct {
	Session string
	N       int
}

// VaryingWord is a word of a command that may be another: Prefix, which stays, and something of the class.
type VaryingWord struct {
	Word   int // index in Argv
	Prefix string
	Class  string // "number" or "name"
}

// classes are what a varying part may be. None of them can be a flag, a path to another directory, or hold a character that
// a shell or a program splits.
var classes = map[string]*regexp.Regexp{
	"number": regexp.MustCompile(`\A[0-9]{1,19}\z`),
	"name":   regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}\z`),
}

// GrantSpec is what an approver asks for.
type GrantSpec struct {
	Kind GrantKind
	Vary []int         // of a shape: the words that may vary, counted from 0 at the program's name as show counts them
	For  time.Duration // 0 for the session alone
}

// GrantStore keeps grants. An error wraps ErrStore.
type GrantStore interface {
	// Grants returns all, by number.
	Grants() ([]Grant, error)
	// PutGrant keeps a grant, durably. One without a number gets the next.
	PutGrant(g *Grant) error
	// DeleteGrant forgets one.
	DeleteGrant(n int) error
}

// Errors of grants.
var (
	ErrNoGrant  = errors.New("no such grant")
	ErrBadGrant = errors.New("cannot be granted")
	// ErrNotGranted is wrapped where an operation was approved, and the grant could not be made.
	ErrNotGranted = errors.New("approved, and not granted")
)

// maxGrants bounds the grants that are kept, those that are over included.
const maxGrants = 1000

// grants are all that are remembered, as the store has them.
type grants struct {
	store    GrantStore                                    // nil for none
	record   func(g Grant, what string, by Identity) error // see Config.Granted, may be nil
	now      func() time.Time
	sessions Store
	void     func(g *Grant) string // see Manager.Void

	mu  sync.RWMutex
	all []Grant // by number
}

// makeRoom forgets the oldest grants that are over. The caller holds the lock.
func (k *grants) makeRoom() error {
	now := k.now()
	for i := 0; len(k.all) >= maxGrants && i < len(k.all); {
		g := &k.all[i]
		if g.Active(now) && !k.over(g) {
			i++
			continue
		}
		if err := k.store.DeleteGrant(g.N); err != nil {
			return err
		}
		k.all = slices.Delete(k.all, i, i+1)
	}
	if len(k.all) >= maxGrants {
		return fmt.Errorf("%w: %d grants are in force; revoke some", ErrTooMany, maxGrants)
	}
	return nil
}

// add keeps a new grant. The caller holds the lock.
func (k *grants) add(g *Grant, by Identity) error {
	if err := k.audited(*g, "granted", by); err != nil {
		return err
	}
	if err := k.store.PutGrant(g); err != nil {
		return err
	}
	k.all = append(k.all, *g)
	return nil
}

// over reports whether the session that a grant is for has ended.
func (k *grants) over(g *Grant) bool {
	if g.Session == "" {
		return false
	}
	s, err := k.sessions.Session(g.Session)
	return err != nil || s.Status.Final()
}

// audited records a grant or its end in the audit log, before it takes effect.
func (k *grants) audited(g Grant, what string, by Identity) error {
	if k.record == nil {
		return nil
	}
	if err := k.record(g, what, by); err != nil {
		return fmt.Errorf("record that it was %s: %w", what, err)
	}
	return nil
}

// shown are the grants that somebody sees: what is in force or void, or all that are remembered.
func (k *grants) shown(scope scope, all bool) (out []Grant) {
	now := k.now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i := range k.all {
		g := &k.all[i]
		if scope.sees(g.Identity, g.Target) && (all || g.Active(now) && !k.over(g)) {
			out = append(out, *g)
		}
	}
	return out
}

// revoke ends a grant on what somebody decides on.
func (k *grants) revoke(n int, scope scope) (Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.all {
		g := k.all[i]
		if g.N != n || !scope.covers(g.Target) {
			continue
		}
		if !g.Active(k.now()) {
			return g, fmt.Errorf("%w: grant %d is over", ErrNoGrant, n)
		}
		g.Revoked, g.RevokedBy = k.now(), scope.by.Name
		k.all[i] = g // from here on it counts no more, whatever the disk says
		if err := k.audited(g, "revoked", scope.by); err != nil {
			return g, err
		}
		return g, k.store.PutGrant(&g)
	}
	return Grant{}, fmt.Errorf("%w: %d", ErrNoGrant, n)
}

// granted finds the grant that a command of a session may run by. The caller holds the lock for reading until the operation is in
// the journal, so that a revocation that has returned is obeyed.
func (k *grants) granted(session, identity string, o *Operation) *Grant {
	now := k.now()
	for i := range k.all {
		g := &k.all[i]
		if g.Identity == identity && (g.Session == "" || g.Session == session) && g.Active(now) && g.covers(o.Command, o.Digest) && k.void(g) == "" {
			return g
		}
	}
	return nil
}

// Active reports whether the grant holds at that time.
func (g *Grant) Active(now time.Time) bool {
	return g.Revoked.IsZero() && (g.Session != "" || !g.Until.IsZero()) && (g.Until.IsZero() || now.Before(g.Until))
}

// Shape is the command with its varying parts spelled out, rendered: safe to print.
func (g *Grant) Shape() string {
	words := make([]string, len(g.Argv))
	for i, w := range g.Argv {
		words[i] = string(render.Argv([]string{w}))
	}
	for _, v := range g.Varies {
		if v.Word < len(words) {
			words[v.Word] = string(render.Line(v.Prefix)) + "<" + v.Class + ">"
		}
	}
	return strings.Join(words, " ")
}

// String is one line that spells out what the grant lets run, rendered.
func (g *Grant) String() string {
	scope := fmt.Sprintf("%s on %s until %s", render.Line(g.Identity), render.Line(g.Target), g.Until.UTC().Format(time.RFC3339))
	if g.Session != "" {
		scope = "session " + g.Session
	}
	env := ""
	if len(g.EnvChanges) > 0 {
		env = fmt.Sprintf(", environment %s", render.Argv(g.EnvChanges))
	}
	return fmt.Sprintf("%s: %s (%s, %s in %s as %s%s)", scope, g.Shape(), g.Kind, render.Line(g.Path), render.Line(g.Dir), render.Line(g.RunAs), env)
}

// covers reports whether a command is one that the grant was made for.
func (g *Grant) covers(c *Command, digest string) bool {
	if g.Target != c.Target || g.RunAs != c.RunAs {
		return false
	}
	if g.Kind == ExactGrant {
		return g.Digest == digest
	}
	if g.Kind != ShapeGrant || g.Path != c.Path || g.Dir != c.Dir || c.Input != journal.InputNone ||
		!slices.Equal(g.Env, c.Env) || !slices.Equal(g.EnvChanges, c.EnvChanges) || len(g.Argv) != len(c.Argv) {
		return false
	}
	for i := range c.Argv {
		if !g.allows(i, c.Argv[i]) {
			return false
		}
	}
	return true
}

// allows reports whether a word may stand at its place.
func (g *Grant) allows(i int, word string) bool {
	for _, v := range g.Varies {
		if v.Word == i {
			rest, ok := strings.CutPrefix(word, v.Prefix)
			class := classes[v.Class]
			return ok && class != nil && class.MatchString(rest) && !strings.Contains(rest, "..")
		}
	}
	return g.Argv[i] == word
}

// preview is the grant that a specification makes of an operation, without a number. It fails with ErrBadGrant, and the reason,
// where that cannot be granted. limit is the longest that a grant may last, 0 for any time.
func (s GrantSpec) preview(session Session, n int, by Identity, limit time.Duration, now time.Time) (Grant, error) {
	bad := func(why string, args ...any) (Grant, error) {
		return Grant{}, fmt.Errorf("operation %d of session %s %w: %s", n, session.ID, ErrBadGrant, fmt.Sprintf(why, args...))
	}
	o := session.Operation(n)
	if o == nil || o.Kind != CommandKind || o.Command == nil {
		return bad("only a command can be granted")
	}
	c := o.Command
	switch {
	case o.Verdict != policy.Ask:
		return bad("the policy does not ask about it")
	case len(c.Before)+len(c.Scratch) > 0:
		return bad("changes of files go with it")
	case c.Input != journal.InputNone && c.Input != journal.InputData:
		return bad("its standard input is not known")
	case s.For < 0 || limit > 0 && s.For > limit:
		return bad("limits.grant allows %v at most", limit)
	}
	g := Grant{
		Kind: s.Kind, Session: session.ID, Identity: session.Identity, Target: c.Target, RunAs: c.RunAs, Path: c.Path, Dir: c.Dir,
		Argv: slices.Clone(c.Argv), Env: slices.Clone(c.Env), EnvChanges: slices.Clone(c.EnvChanges), Digest: o.Digest,
		From: GrantOperation{session.ID, n}, By: by.Name, ByKey: by.Fingerprint, Created: now,
	}
	if s.For > 0 {
		g.Session, g.Until = "", now.Add(s.For)
	}
	switch s.Kind {
	case ExactGrant:
		if len(s.Vary) > 0 {
			return bad("an exact command has no word that varies; use shape")
		}
	case ShapeGrant:
		if err := g.vary(s.Vary, c); err != nil {
			return bad("%v", err)
		}
	default:
		return bad("grants are exact or shape, not %q", s.Kind)
	}
	return g, nil
}

// vary makes words of a shape vary.
func (g *Grant) vary(words []int, c *Command) error {
	name := filepath.Base(c.Path)
	switch {
	case len(words) == 0:
		return errors.New("a shape needs at least one word that varies")
	case policy.RunsOthers(name):
		return fmt.Errorf("%s runs what is in its words, so that only the exact command can be granted", render.Line(name))
	case c.Input != journal.InputNone:
		return errors.New("a command with standard input can be granted exactly only")
	}
	for _, i := range slices.Compact(slices.Sorted(slices.Values(words))) {
		if i < 1 || i >= len(c.Argv) {
			return fmt.Errorf("it has no word %d after the program's name", i)
		}
		v, err := varying(c.Argv[i])
		if err != nil {
			return fmt.Errorf("word %d, %s: %w", i, render.Argv([]string{c.Argv[i]}), err)
		}
		v.Word = i
		g.Varies = append(g.Varies, v)
	}
	return nil
}

// varying finds the part of a word that may vary: a number, a name, or the name of a file in the same directory, alone or behind a
// flag and "=".
func varying(word string) (v VaryingWord, err error) {
	if !utf8.ValidString(word) {
		return v, errors.New("it is not UTF-8")
	}
	rest := word
	if flag, value, ok := strings.Cut(word, "="); ok {
		v.Prefix, rest = flag+"=", value
	} else if strings.HasPrefix(word, "-") {
		return v, errors.New("a flag does not vary")
	}
	if strings.Contains(rest, "/") {
		dir, base := path.Split(rest)
		if !strings.HasPrefix(dir, "/") || path.Clean(dir)+"/" != dir && dir != "/" {
			return v, errors.New("a path that varies is absolute and clean")
		}
		v.Prefix, rest = v.Prefix+dir, base
	}
	for _, class := range []string{"number", "name"} {
		if classes[class].MatchString(rest) && !strings.Contains(rest, "..") {
			v.Class = class
			return v, nil
		}
	}
	return v, errors.New("it is neither a number nor a plain name")
}

// PreviewGrant is the grant that ApproveGranting would make, or its error, without making it.
func (m *Manager) PreviewGrant(s Session, n int, by Identity, spec GrantSpec) (Grant, error) {
	if m.config.Grants == nil {
		return Grant{}, fmt.Errorf("operation %d of session %s %w: this gateway keeps no grants", n, s.ID, ErrBadGrant)
	}
	if err := m.scope(by).decidesOn(&s, "granting"); err != nil {
		return Grant{}, err
	}
	return spec.preview(s, n, by, m.rules.Load().Limits.Grant, m.config.Now())
}

// ApproveGranting approves one operation and makes a standing answer of it. What cannot be granted is not approved either: the
// human asked for both. What the approval names was shown, like that of any other. Where the grant cannot be kept after the decision
// was taken, the error is ErrNotGranted. Else the errors are those of Approve, ErrBadGrant and ErrTooMany.
func (m *Manager) ApproveGranting(ctx context.Context, id string, by Identity, n int, a Approval, spec GrantSpec) (Session, Grant, error) {
	scope := m.scope(by)
	if err := scope.decides("granting"); err != nil {
		return Session{}, Grant{}, err
	}
	if err := a.Well(); err != nil {
		return Session{}, Grant{}, err
	}
	if len(a.Each) == 0 {
		a.Ops = []int{n}
	} else if _, ok := a.Each[n]; !ok || len(a.Each) > 1 {
		return Session{}, Grant{}, fmt.Errorf("%w: of operation %d alone", ErrUnnamed, n)
	}
	before, err := m.session(id)
	if err == nil {
		err = scope.decidesOn(&before, "granting")
	}
	if err != nil {
		return Session{}, Grant{}, err
	}
	if err := a.Fits(&before); err != nil {
		return before, Grant{}, err
	}
	var g Grant
	all, err := m.prepared(ctx, []string{id}, func(p *prepared) (all []Session, err error) {
		all, g, err = m.approveGranting(ctx, before, by, n, a, spec, p)
		return all, err
	})
	if len(all) == 0 {
		return before, Grant{}, err
	}
	return all[0], g, err
}

// approveGranting is ApproveGranting for a session that is prepared to go on.
func (m *Manager) approveGranting(ctx context.Context, before Session, by Identity, n int, a Approval, spec GrantSpec, p *prepared) ([]Session, Grant, error) {
	// The script's next command comes after the grant, however soon it comes.
	m.grants.mu.Lock()
	defer m.grants.mu.Unlock()
	if _, err := m.PreviewGrant(before, n, by, spec); err != nil {
		return nil, Grant{}, err
	}
	if err := m.grants.makeRoom(); err != nil {
		return nil, Grant{}, err
	}
	all, err := m.decide(ctx, []string{before.ID}, a.decision(by, a.chooseOne), p)
	if err != nil {
		return nil, Grant{}, err
	}
	s := all[0]
	g, err := m.PreviewGrant(s, n, by, spec) // of the record as it was approved
	if err == nil {
		err = m.grants.add(&g, by)
	}
	if err != nil {
		return all, Grant{}, fmt.Errorf("%w: %w", ErrNotGranted, err)
	}
	return all, g, nil
}

// Grants returns the grants that are shown to who asks, those for themselves and those on what they decide on: what is in force
// or void, or all that are remembered.
func (m *Manager) Grants(by Identity, all bool) []Grant { return m.grants.shown(m.scope(by), all) }

// Revoke ends a grant: once it returns, no command starts by it. ErrNotPermitted, ErrNoGrant.
func (m *Manager) Revoke(_ context.Context, n int, by Identity) (Grant, error) {
	scope := m.scope(by)
	if err := scope.decides("revoking"); err != nil {
		return Grant{}, err
	}
	return m.grants.revoke(n, scope)
}

// useGrant lets an operation that the policy asks about run by a grant, if there is one.
func (l *execution) useGrant(c *change) {
	o := &c.op
	if c.first.What != journal.Ask || o.Verdict != policy.Ask || l.plan || len(o.Command.Before)+len(o.Command.Scratch) > 0 {
		return
	}
	g := l.m.grants.granted(l.id, l.identity, o)
	if g == nil {
		return
	}
	c.first = journal.Event{What: journal.Grant, At: o.Created, By: Identity{Name: g.By, Fingerprint: g.ByKey}, Grant: g.N}
}
