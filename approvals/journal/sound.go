package journal

import (
	"errors"
	"fmt"
)

// Sound lists what is wrong with a session's record by itself: what this program never writes. States are those of the tables by which
// they are written.
func (s *Session) Sound() []error {
	var found []error
	wrong := func(format string, args ...any) {
		found = append(found, fmt.Errorf("session %s: "+format, append([]any{s.ID}, args...)...))
	}
	if s.Status == statusNew {
		wrong("it has no status")
	}
	for _, err := range s.misshapen() {
		wrong("%w", err)
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

func (o *Operation) decidedByHuman() bool { return o.ByKey != "" }

func (o *Operation) sound() (found []error) {
	if o.Command != nil && !o.Command.Intact(o.Digest) {
		found = append(found, errors.New("its command is not the one of its digest"))
	}
	if o.File != nil && !o.Intact(o.Digest) {
		found = append(found, errors.New("its change of a file is not the one of its digest"))
	}
	if o.State() == StateNew {
		found = append(found, errors.New("it was never taken in"))
	}
	return append(found, o.misshapen()...)
}
