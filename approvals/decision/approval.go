package decision

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// Approval is what an approver says yes to: exactly operations that they were shown, named by digest. Whoever takes a human's
// word makes one of what they have put before that human, never of what waits by now.
type Approval struct {
	// Waiting is the waiting digest of all that was shown, or its first digits, MinDigits at least.
	Waiting string
	// Ops are the numbers of those among them that are approved; none for all.
	Ops []int
	// Each names operations that were shown one by one, in place of Waiting and Ops: by number, the whole digest of each.
	Each map[int]string
	// Rest says that the rest of the session's text is approved with what waits. Waiting is then the session's RestDigest.
	Rest bool
	// Danger are the names of targets that the approver has typed: nothing dangerous is approved on any other.
	Danger []string
}

// MinDigits is how many hex digits of a waiting digest name it. They keep one set from being taken for another by mistake. An
// agent that searches can make two sets that begin alike; what a human is given to paste has more: PastedDigits.
const (
	MinDigits    = 12
	PastedDigits = 32
)

// Errors of approvals that callers tell apart.
var (
	// ErrDigest is for another set of operations than the one that was named: nothing was decided.
	ErrDigest = errors.New("the digest does not match what waits now")
	// ErrUnnamed is for an approval that does not say what was shown.
	ErrUnnamed = errors.New("an approval names what was shown by its digest")
	// ErrDanger is for danger on a target whose name was not typed.
	ErrDanger = errors.New("dangerous")
)

// Well is nil for an approval that names something; ErrUnnamed says what is missing. It is checked once more with the decision.
func (a *Approval) Well() error {
	if a.Rest && len(a.Each)+len(a.Ops) > 0 {
		return fmt.Errorf("%w: of the rest of a text as a whole", ErrUnnamed)
	}
	if len(a.Each) > 0 {
		if a.Waiting != "" || len(a.Ops) > 0 {
			return fmt.Errorf("%w: of all that waits, or of each, not both", ErrUnnamed)
		}
		for _, d := range a.Each {
			if len(d) != digestDigits || !isHex(d) {
				return fmt.Errorf("%w: %d hex digits each", ErrUnnamed, digestDigits)
			}
		}
		return nil
	}
	switch {
	case a.Waiting == "":
		return ErrUnnamed
	case !isHex(a.Waiting) || len(a.Waiting) < MinDigits || len(a.Waiting) > digestDigits:
		return fmt.Errorf("%w: a digest has %d to %d hex digits", ErrUnnamed, MinDigits, digestDigits)
	}
	return nil
}

// digestDigits is how many hex digits a whole digest has.
const digestDigits = 64

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// names reports whether a digest is the one that the approval names.
func (a *Approval) names(digest string) bool {
	return digest != "" && strings.HasPrefix(digest, strings.ToLower(a.Waiting))
}

// Fits is nil where what the approval names is what waits in the session, as it is now. The errors are those of Approve.
func (a *Approval) Fits(s *journal.Session) error {
	_, err := a.choose(s)
	return err
}

// digestOf is what an approval of this kind names of a session.
func (a *Approval) digestOf(s *journal.Session) string {
	if a.Rest {
		return s.RestDigest()
	}
	return s.WaitingDigest()
}

// choose finds what an approval is about. ErrDigest, ErrNotWaiting.
func (a *Approval) choose(s *journal.Session) ([]*journal.Operation, error) {
	if err := a.Well(); err != nil {
		return nil, err
	}
	if len(a.Each) == 0 {
		if !s.Waits() || s.Status.Final() {
			return nil, fmt.Errorf("%w: %w: session %s is %s", ErrDigest, journal.ErrNotWaiting, s.ID, s.Status)
		}
		if digest := a.digestOf(s); !a.names(digest) {
			if digest == "" {
				return nil, fmt.Errorf("%w: session %s runs no text whose rest can be approved", ErrDigest, s.ID)
			}
			return nil, fmt.Errorf("%w in session %s", ErrDigest, s.ID)
		}
		return choose(s, a.Ops)
	}
	numbers := make([]int, 0, len(a.Each))
	for n := range a.Each {
		numbers = append(numbers, n)
	}
	chosen, err := choose(s, numbers)
	if err != nil {
		return nil, err
	}
	for _, o := range chosen {
		if !strings.EqualFold(o.Digest, a.Each[o.N]) {
			return nil, fmt.Errorf("%w: operation %d of session %s", ErrDigest, o.N, s.ID)
		}
	}
	return chosen, nil
}

// chooseOne is choose for one session alone.
func (a *Approval) chooseOne(all []*journal.Session) ([][]*journal.Operation, error) {
	chosen, err := a.choose(all[0])
	return [][]*journal.Operation{chosen}, err
}

// chooseAll is choose for all that waits in several sessions that were shown together.
func (a *Approval) chooseAll(all []*journal.Session) ([][]*journal.Operation, error) {
	if len(a.Each) > 0 || len(a.Ops) > 0 || a.Rest {
		return nil, fmt.Errorf("%w: of a group as a whole", ErrUnnamed)
	}
	if err := a.Well(); err != nil {
		return nil, err
	}
	sessions := make([]journal.Session, len(all))
	for i, s := range all {
		sessions[i] = *s
	}
	switch digest := journal.WaitingDigestOf(sessions); {
	case digest == "":
		return nil, fmt.Errorf("%w: %w: none of its sessions has any", ErrDigest, journal.ErrNotWaiting)
	case !a.names(digest):
		return nil, fmt.Errorf("%w in these sessions", ErrDigest)
	}
	chosen := make([][]*journal.Operation, len(all))
	for i, s := range all {
		if !s.Waits() {
			continue
		}
		var err error
		if chosen[i], err = choose(s, nil); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// confirmed is nil where the approver has typed the name of the target of everything dangerous among the operations.
func (a *Approval) confirmed(s *journal.Session, decided []*journal.Operation) error {
	for _, o := range decided {
		if o.Risk == policy.Danger && !slices.Contains(a.Danger, s.Target) {
			return fmt.Errorf("operation %d of session %s is %w: it needs the name of its target, %s, to be given with the approval",
				o.N, s.ID, ErrDanger, render.Line(s.Target))
		}
	}
	return nil
}

// choose finds what is to be decided: operations by number, or all that wait. ErrNotWaiting.
func choose(s *journal.Session, ops []int) ([]*journal.Operation, error) {
	var chosen []*journal.Operation
	if len(ops) == 0 {
		for i := range s.Operations {
			if o := &s.Operations[i]; o.Decision == journal.Waiting {
				chosen = append(chosen, o)
			}
		}
	}
	for _, n := range slices.Compact(slices.Sorted(slices.Values(ops))) {
		o := s.Operation(n)
		if o == nil {
			return nil, fmt.Errorf("%w: session %s has no operation %d", journal.ErrNotWaiting, s.ID, n)
		}
		if o.Decision != journal.Waiting {
			return nil, fmt.Errorf("%w: operation %d is %s", journal.ErrNotWaiting, n, decidedBy(o))
		}
		chosen = append(chosen, o)
	}
	if len(chosen) == 0 || s.Status.Final() {
		return nil, fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, s.ID, s.Status)
	}
	return chosen, nil
}

func decidedBy(o *journal.Operation) string {
	if o.By == "" {
		return string(o.Decision)
	}
	return string(o.Decision) + " by " + o.By
}
