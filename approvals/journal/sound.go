package journal

import (
	"errors"
	"fmt"
)

// Sound lists what is wrong with a session's record by itself: what this program never writes.
func (s *Session) Sound() []error {
	var found []error
	wrong := func(format string, args ...any) {
		found = append(found, fmt.Errorf("session %s: "+format, append([]any{s.ID}, args...)...))
	}
	switch s.Status {
	case Running, Held, Parked, Done, Failed, Rejected, Cancelled, Expired, TimedOut, RolledBack:
	default:
		wrong("its status is %q", s.Status)
	}
	if s.Status.Final() != !s.Ended.IsZero() {
		wrong("it is %s, and its end is %v", s.Status, s.Ended)
	}
	if s.Status.Final() && s.Waits() {
		wrong("it is %s, and an operation of it waits", s.Status)
	}
	if sum := SHA256Hex([]byte(s.Script)); sum != s.ScriptSHA256 {
		wrong("its script has the SHA-256 %s, and %s is recorded", sum, s.ScriptSHA256)
	}
	if r := s.Reads; r != nil && len(r.List) > 0 && SHA256Hex(r.List) != r.SHA256 {
		wrong("its list of files that were read has the SHA-256 %s, and %s is recorded", SHA256Hex(r.List), r.SHA256)
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.N != i+1 {
			wrong("operation %d has the number %d", i+1, o.N)
		}
		for _, err := range o.sound() {
			wrong("operation %d: %w", i+1, err)
		}
		if o.decidedByHuman() && s.OwnedBy(Identity{Name: o.By, Fingerprint: o.ByKey}) {
			wrong("operation %d was decided by the one who asked, %s", i+1, s.Identity)
		}
	}
	return found
}

func (o *Operation) decidedByHuman() bool { return o.Decision == Approved || o.Decision == Refused }

func (o *Operation) sound() (found []error) {
	if o.Command != nil && !o.Command.Intact(o.Digest) {
		found = append(found, errors.New("its command is not the one of its digest"))
	}
	if o.File != nil && !o.Intact(o.Digest) {
		found = append(found, errors.New("its change of a file is not the one of its digest"))
	}
	switch o.Decision {
	case Waiting:
		if o.By != "" || !o.Started.IsZero() {
			found = append(found, errors.New("it waits, and was decided or started"))
		}
	case Approved, Refused:
		if o.By == "" || o.ByKey == "" || o.Decided.IsZero() {
			found = append(found, fmt.Errorf("it is %s without an approver, a key or a time", o.Decision))
		}
	case Allowed, Denied:
		if o.By != PolicyName {
			found = append(found, fmt.Errorf("it is %s by %q, which the policy alone does", o.Decision, o.By))
		}
	case Conflicted, Broken:
		if o.Started.IsZero() || o.Finished.IsZero() || o.Reason == "" {
			found = append(found, fmt.Errorf("it is %s without a start, an end or a reason", o.Decision))
		}
	case Lapsed, Withdrawn, UnknownState:
	default:
		found = append(found, fmt.Errorf("its decision is %q", o.Decision))
	}
	if !o.Started.IsZero() && o.Decision != Allowed && o.Decision != Approved && o.Decision != UnknownState &&
		o.Decision != Conflicted && o.Decision != Broken {
		found = append(found, fmt.Errorf("it was started, and is %s", o.Decision))
	}
	if o.Started.IsZero() && !o.Finished.IsZero() {
		found = append(found, errors.New("it has a result, and was never started"))
	}
	return found
}

// PolicyName is who decides where no human does.
const PolicyName = "policy"
