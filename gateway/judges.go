package gateway

import (
	"fmt"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/gateway/config"
)

// judges are the judges of all targets: one policy, with the files that each target hides.
type judges struct {
	usual   gate.Judge
	remotes map[string]gate.Judge
}

// NewJudge makes the judge of a configuration.
func NewJudge(c *config.Config) (gate.Judge, error) {
	usual, err := policy.New(c.Profile)
	if err != nil {
		return nil, fmt.Errorf("[profile]: %w", err)
	}
	j := &judges{usual: usual, remotes: map[string]gate.Judge{}}
	for name, r := range c.Remotes {
		profile := c.Profile
		profile.Hide = r.Files.Hide
		if r.OwnRead {
			profile.Read = r.Files.Read
		}
		if j.remotes[name], err = policy.New(profile); err != nil {
			return nil, fmt.Errorf("[remotes.%s.files]: %w", name, err)
		}
	}
	return j, nil
}

// of is the judge for a target. A target may leave the configuration while a session begins there. No judge knows what it
// hides then, so a human decides on everything.
func (j *judges) of(target string) gate.Judge {
	switch r, ok := j.remotes[target]; {
	case ok:
		return r
	case target == "" || target == config.LocalTarget:
		return j.usual
	}
	return asks{j.usual}
}

// Hides reports whether a file of a target is hidden. Of a target that is not in the configuration any more, all files are.
func (j *judges) Hides(target, name string) bool {
	h, ok := j.of(target).(interface {
		Hides(target, name string) bool
	})
	return !ok || h.Hides(target, name)
}

// asks is a judge who allows nothing by themself.
type asks struct{ usual gate.Judge }

func (asks) instead(d policy.Decision) policy.Decision {
	if d.Verdict != policy.Allow {
		return d
	}
	return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: "the configuration does not name this target any more"}
}

// Argv implements approvals.Judge.
func (a asks) Argv(argv []string, c policy.Context) policy.Decision {
	return a.instead(a.usual.Argv(argv, c))
}

// Shell implements approvals.Judge.
func (a asks) Shell(text string, c policy.Context) policy.Decision {
	return a.instead(a.usual.Shell(text, c))
}

// Argv implements approvals.Judge.
func (j *judges) Argv(argv []string, c policy.Context) policy.Decision {
	return j.of(c.Target).Argv(argv, c)
}

// Shell implements approvals.Judge.
func (j *judges) Shell(text string, c policy.Context) policy.Decision {
	return j.of(c.Target).Shell(text, c)
}
