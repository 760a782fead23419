package approvals

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// PreviewGrant is the grant that ApproveGranting would make, or its error, without making it. For a shape it looks at the target.
func (m *Manager) PreviewGrant(s journal.Session, n int, by journal.Identity, spec grants.Spec) (grants.Grant, error) {
	if g, err := m.previewGrant(s, n, by, spec); err != nil || spec.Kind != grants.Shape {
		return g, err
	}
	var err error
	if spec.Links, err = linksOf(m.config.Target, &s, n); err != nil {
		return grants.Grant{}, err
	}
	return m.previewGrant(s, n, by, spec)
}

// previewGrant is PreviewGrant by what is known already.
func (m *Manager) previewGrant(s journal.Session, n int, by journal.Identity, spec grants.Spec) (grants.Grant, error) {
	if !m.grants.Kept() {
		return grants.Grant{}, fmt.Errorf("operation %d of session %s %w: this gateway keeps no grants", n, s.ID, grants.ErrBadGrant)
	}
	if err := m.scopes.Of(by).DecidesOn(&s, "granting"); err != nil {
		return grants.Grant{}, err
	}
	return spec.Preview(s, n, by, m.rules.Load().Limits.Grant, m.config.Now())
}

// ApproveGranting approves one operation and makes a standing answer of it. What cannot be granted is not approved either: the
// human asked for both. What the approval names was shown, like that of any other. Where the grant cannot be kept after the decision
// was taken, the error is ErrNotGranted. Else the errors are those of Approve, ErrBadGrant and ErrTooMany.
func (m *Manager) ApproveGranting(ctx context.Context, id string, by journal.Identity, n int, a decision.Approval, spec grants.Spec) (journal.Session, grants.Grant, error) {
	scope := m.scopes.Of(by)
	if err := scope.Decides("granting"); err != nil {
		return journal.Session{}, grants.Grant{}, err
	}
	if err := a.Well(); err != nil {
		return journal.Session{}, grants.Grant{}, err
	}
	if len(a.Each) == 0 {
		a.Ops = []int{n}
	} else if _, ok := a.Each[n]; !ok || len(a.Each) > 1 {
		return journal.Session{}, grants.Grant{}, fmt.Errorf("%w: of operation %d alone", decision.ErrUnnamed, n)
	}
	before, err := m.session(id)
	if err == nil {
		err = scope.DecidesOn(&before, "granting")
	}
	if err != nil {
		return journal.Session{}, grants.Grant{}, err
	}
	if err := a.Fits(&before); err != nil {
		return before, grants.Grant{}, err
	}
	if spec.Kind == grants.Shape { // before anything is locked: a target may take its time
		if spec.Links, err = linksOf(m.config.Target, &before, n); err != nil {
			return before, grants.Grant{}, err
		}
	}
	var g grants.Grant
	all, err := m.resumer.Prepared(ctx, []string{id}, func(p *lifecycle.Prepared) (all []journal.Session, err error) {
		all, g, err = m.approveGranting(ctx, before, by, n, a, spec, p)
		return all, err
	})
	if len(all) == 0 {
		return before, grants.Grant{}, err
	}
	return all[0], g, err
}

// approveGranting is ApproveGranting for a session that is prepared to go on.
func (m *Manager) approveGranting(ctx context.Context, before journal.Session, by journal.Identity, n int, a decision.Approval, spec grants.Spec, p *lifecycle.Prepared) ([]journal.Session, grants.Grant, error) {
	var all []journal.Session
	g, err := m.grants.Make(by, func() error {
		_, err := m.previewGrant(before, n, by, spec)
		return err
	}, func() (grants.Grant, error) {
		var err error
		if all, err = m.decide(ctx, []string{before.ID}, a.Decision(by), p); err != nil {
			return grants.Grant{}, err
		}
		return m.previewGrant(all[0], n, by, spec) // of the record as it was approved
	})
	if err != nil && len(all) > 0 {
		err = fmt.Errorf("%w: %w", grants.ErrNotGranted, err)
	}
	return all, g, err
}

// maxLinks bounds the links that are followed to a program.
const maxLinks = 40

// linksOf are the names that the links to a command's program lead to, as its target has them now; none where the target is not
// known. The error wraps ErrBadGrant where the target does not tell.
func linksOf(target func(string) targets.Target, s *journal.Session, n int) (links []string, err error) {
	o := s.Operation(n)
	if target == nil || o == nil || o.Command == nil || len(o.Command.Argv) == 0 {
		return nil, nil
	}
	at := target(o.Command.Target)
	if at == nil {
		return nil, nil
	}
	at, done := targets.For(at, s.Identity, "")
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), change.LookTime)
	defer cancel()
	bad := func(err error) ([]string, error) {
		return nil, fmt.Errorf("operation %d of session %s %w: its program cannot be looked at: %w", n, s.ID, grants.ErrBadGrant, err)
	}
	name := o.Command.Path
	if words, line := grants.Words(o.Command.Argv); line {
		if name, err = at.Resolve(ctx, words[0], o.Command.Dir); err != nil {
			return bad(err)
		}
	}
	for name = path.Clean(name); ; {
		next, err := followLink(at.Files(), name)
		switch {
		case err != nil:
			return bad(err)
		case next == "":
			return links, nil
		case len(links) == maxLinks:
			return bad(syscall.ELOOP)
		}
		name = next
		links = append(links, name)
	}
}

// followLink is the name that a name leads to by the first link in it, "" where there is none.
func followLink(files vfs.Source, name string) (string, error) {
	for end := 1; end <= len(name); end++ {
		if end < len(name) && name[end] != '/' {
			continue
		}
		text, err := files.Readlink(name[:end])
		switch {
		case errors.Is(err, syscall.EINVAL): // no link
			continue
		case err != nil:
			return "", err
		case !strings.HasPrefix(text, "/"):
			text = path.Dir(name[:end]) + "/" + text
		}
		return path.Clean(text + name[end:]), nil
	}
	return "", nil
}

// Grants returns the grants that are shown to who asks, those for themselves and those on what they decide on: what is in force
// or void, or all that are remembered.
func (m *Manager) Grants(by journal.Identity, all bool) []grants.Grant {
	return m.grants.Shown(m.scopes.Of(by), all)
}

// Revoke ends a grant: once it returns, no command starts by it. ErrNotPermitted, ErrNoGrant.
func (m *Manager) Revoke(_ context.Context, n int, by journal.Identity) (grants.Grant, error) {
	scope := m.scopes.Of(by)
	if err := scope.Decides("revoking"); err != nil {
		return grants.Grant{}, err
	}
	return m.grants.Revoke(n, scope)
}
