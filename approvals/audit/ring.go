package audit

import (
	"errors"
	"fmt"
	"slices"
)

// ring is what a verification knows of keys, by their fingerprints.
type ring struct {
	trusted map[string]bool
	// takenOver are keys that the log goes on with although no key handed over to them. That was a finding, and once is
	// enough. Nothing else that they sign counts.
	takenOver map[string]bool
	links     []link
}

// link is a hand-over that both keys have signed.
type link struct{ from, to string }

func newRing(keys []string) ring {
	r := ring{trusted: map[string]bool{}, takenOver: map[string]bool{}}
	for _, k := range keys {
		r.trusted[k] = true
	}
	return r
}

func (r *ring) known(key string) bool { return r.trusted[key] || r.takenOver[key] }

// close trusts every key that hand-overs connect with one that is trusted, in both directions: each key has signed that
// the other is this gateway's. So who knows the new key alone can verify what was before it.
func (r *ring) close() {
	for range r.links {
		for _, l := range r.links {
			if r.trusted[l.from] || r.trusted[l.to] {
				r.trusted[l.from], r.trusted[l.to] = true, true
			}
			r.takenOver[l.to] = r.takenOver[l.to] || r.takenOver[l.from]
		}
	}
}

// handedOver checks a line that says that another key signs from there on.
func (c *chain) handedOver(where string, l *line) {
	to, err := l.signature(l.NewKey, l.NewFormat, l.NewSig)
	if err != nil {
		c.v.found("%s: it hands over to another key, and of that %s", where, err)
		return
	}
	switch by, err := l.signedBy(); {
	case err != nil:
		c.v.found("%s: it hands over to %s, and %s", where, to, err)
	case by == "":
		c.v.found("%s: the log was signed with another key, %s, which did not hand over to %s", where, l.Key, to)
		c.keys.takenOver[to] = true
	default:
		c.v.Notes = append(c.v.Notes, fmt.Sprintf("%s: %s handed over to %s", where, by, to))
		if len(c.keys.links) < maxLinks {
			c.keys.links = append(c.keys.links, link{by, to})
		}
	}
}

// maxLinks bounds the hand-overs of a log, and the acceptances in it.
const maxLinks = 1000

// acceptance is a line by which an operator accepts findings. It names each by its text, which has the place and the
// kind. So it covers nothing else that happened, or happens later, to the log.
type acceptance struct {
	where  string
	by     string // fingerprint
	err    error  // of its signature
	files  []string
	reason string
}

// accept sorts out the findings that a trusted key has accepted. An acceptance by another key is itself a finding, which
// a later one may accept.
func (c *chain) accept() {
	found := c.v.Findings
	c.v.Findings = nil
	var good []acceptance
	for _, a := range c.acceptances {
		if a.err == nil && !c.keys.trusted[a.by] {
			a.err = errors.New("no key that is trusted has signed it")
		}
		if a.err != nil {
			found = append(found, fmt.Sprintf("%s: it accepts findings, and %s", a.where, a.err))
			continue
		}
		good = append(good, a)
		c.v.Notes = append(c.v.Notes, fmt.Sprintf("%s: %d findings were accepted there: %s", a.where, len(a.files), a.reason))
	}
	for _, f := range found {
		digest := findingDigest(f)
		if slices.ContainsFunc(good, func(a acceptance) bool { return slices.Contains(a.files, digest) }) {
			c.v.Accepted = append(c.v.Accepted, f)
		} else {
			c.v.found("%s", f)
		}
	}
}

// findingDigest stands for a finding in the line that accepts it: 128 bits of its SHA-256, in hex.
func findingDigest(finding string) string { return hashOf([]byte(finding))[:32] }

// MaxAccepted is how many findings can be accepted at once.
const MaxAccepted = maxNames

// Accept records that an operator has seen findings, at most MaxAccepted, and why they may stand. It signs the line with
// the host key. From then on verify lists them as accepted.
func (l *Log) Accept(findings []string, who, reason string) error {
	e := Event{Event: Accepted, Identity: who, Reason: reason, signer: l.o.Signer}
	for _, f := range findings {
		e.Files = append(e.Files, findingDigest(f))
	}
	return l.Append(e)
}
