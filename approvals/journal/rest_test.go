package journal

import (
	"errors"
	"testing"
	"time"

	"shannot-gateway/approvals/policy"
)

// textSession is a session that runs a text: one command has run, one waits.
func textSession() Session {
	code := 0
	s := Session{ID: "abcd2345", Engine: TextEngine, Script: "a; b", ScriptSHA256: SHA256Hex([]byte("a; b")), Args: Strings{"-c", "a; b"}, Status: StatusHeld, Created: time.Unix(1, 0)}
	for n, d := range []Decision{Approved, Waiting} {
		c := &Command{Target: "prod", Path: "/bin/tool", Argv: Strings{"tool", string(rune('a' + n))}, Dir: "/", Input: InputNone}
		o := Operation{N: n + 1, Kind: CommandKind, Verdict: policy.Ask, Risk: policy.Caution, Decision: d, Digest: c.Digest(), Command: c}
		if d == Approved {
			o.By, o.ByKey, o.ExitCode, o.Decided, o.Started, o.Finished = "alice", "SHA256:alice", &code, time.Unix(2, 0), time.Unix(2, 0), time.Unix(3, 0)
		}
		s.Operations = append(s.Operations, o)
	}
	return s
}

func TestRestDigestNamesTheTextWhatHasRunAndWhatWaits(t *testing.T) {
	whole := textSession()
	seen := map[string]string{whole.RestDigest(): "nothing", whole.WaitingDigest(): "the waiting digest"}
	for name, change := range map[string]func(*Session){
		"session":     func(s *Session) { s.ID = "abcd2346" },
		"text":        func(s *Session) { s.ScriptSHA256 = SHA256Hex([]byte("a; c")) },
		"arguments":   func(s *Session) { s.Args = append(s.Args, "x") },
		"what waits":  func(s *Session) { s.Operations[1].Digest = SHA256Hex(nil) },
		"what ran":    func(s *Session) { s.Operations[0].Digest = SHA256Hex(nil) },
		"its result":  func(s *Session) { two := 2; s.Operations[0].ExitCode = &two },
		"no result":   func(s *Session) { s.Operations[0].ExitCode = nil },
		"who decided": func(s *Session) { s.Operations[0].Decision = Allowed },
	} {
		s := whole.Clone()
		change(&s)
		digest := s.RestDigest()
		if other := seen[digest]; other != "" || len(digest) != 64 {
			t.Errorf("with another %s the digest %q is that of %s", name, digest, other)
		}
		seen[digest] = name
	}
}

func TestNothingButATextThatWaitsHasARest(t *testing.T) {
	for name, change := range map[string]func(*Session){
		"a script of Python": func(s *Session) { s.Engine = "native" },
		"a whole line":       func(s *Session) { s.Shell = true },
		"a plan":             func(s *Session) { s.Plan = true },
		"typed":              func(s *Session) { s.Interactive = true },
		"nothing waits":      func(s *Session) { s.Operations = s.Operations[:1] },
	} {
		s := textSession()
		change(&s)
		if digest := s.RestDigest(); digest != "" {
			t.Errorf("%s has the digest %s", name, digest)
		}
	}
	for name, change := range map[string]func(*Session, *Rest){
		"a script of Python": func(s *Session, _ *Rest) { s.Engine = "native" },
		"nobody's":           func(_ *Session, r *Rest) { r.By = "" },
		"no key":             func(_ *Session, r *Rest) { r.ByKey = "" },
		"no digest":          func(_ *Session, r *Rest) { r.Digest = "" },
		"no time":            func(_ *Session, r *Rest) { r.At = time.Time{} },
	} {
		s := textSession()
		r := Rest{By: "alice", ByKey: "SHA256:alice", At: time.Unix(4, 0), Digest: s.RestDigest()}
		change(&s, &r)
		if err := s.Apply(Event{What: Entrust, Rest: &r}); !errors.Is(err, ErrTransition) || s.Rest != nil {
			t.Errorf("%s: %v %+v", name, err, s.Rest)
		}
	}
}

func TestTheRestCoversWhatAHumanIsAskedAbout(t *testing.T) {
	var none *Rest
	for _, c := range []struct {
		rest    *Rest
		verdict policy.Verdict
		risk    policy.Risk
		want    bool
	}{
		{none, policy.Ask, policy.Caution, false},
		{&Rest{}, policy.Ask, policy.Caution, true},
		{&Rest{}, policy.Ask, policy.Unknown, true},
		{&Rest{}, policy.Ask, policy.Danger, false},
		{&Rest{Danger: true}, policy.Ask, policy.Danger, true},
		{&Rest{Danger: true}, policy.Deny, policy.Danger, false},
	} {
		if got := c.rest.Covers(&Operation{Verdict: c.verdict, Risk: c.risk}); got != c.want {
			t.Errorf("%+v %s %s: %v", c.rest, c.verdict, c.risk, got)
		}
	}
}

func TestAnApprovalThatIsTakenBackTakesTheRestWithIt(t *testing.T) {
	s := textSession()
	r := Rest{By: "alice", ByKey: "SHA256:alice", At: time.Unix(4, 0), Digest: s.RestDigest()}
	if err := s.Apply(Event{What: Entrust, Rest: &r}); err != nil {
		t.Fatal(err)
	}
	if err := s.Operations[1].Apply(s.Rest.Event(time.Unix(5, 0))); err != nil || s.Operations[1].Decision != Approved || s.Operations[1].By != "alice" {
		t.Fatalf("%v %+v", err, s.Operations[1])
	}
	if any, err := s.Reopen("the gateway stopped before", time.Time{}); !any || err != nil || s.Rest != nil {
		t.Errorf("%v %v %+v", any, err, s.Rest)
	}
}

// An approval of the rest is not used up by what it was given with: it goes with its age, and where it may have been used.
func TestTheRestIsTakenBackThoughNothingElseIs(t *testing.T) {
	for name, c := range map[string]struct {
		before time.Time
		kept   bool
	}{
		"all":     {time.Time{}, false},
		"old":     {time.Unix(5, 0), false},
		"not old": {time.Unix(4, 0), true},
	} {
		s := textSession()
		s.Status, s.Operations = StatusRunning, s.Operations[:1]
		s.Rest = &Rest{By: "alice", ByKey: "SHA256:alice", At: time.Unix(4, 0), Digest: "d"}
		if any, err := s.Reopen("why", c.before); any == c.kept || err != nil || (s.Rest != nil) != c.kept {
			t.Errorf("%s: %v %v %+v", name, any, err, s.Rest)
		}
	}
}
