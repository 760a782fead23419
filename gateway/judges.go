package gateway

import (
	"fmt"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/gateway/config"
)

// judges are the judges of all targets: one policy, with the files that each target hides.
type judges struct {
	usual   approvals.Judge
	remotes map[string]approvals.Judge
}

// NewJudge makes the judge of a configuration.
func NewJudge(c *config.Config) (approvals.Judge, error) {
	usual, err := policy.New(c.Profile)
	if err != nil {
		return nil, fmt.Errorf("[profile]: %w", err)
	}
	j := &judges{usual: usual, remotes: map[string]approvals.Judge{}}
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

// of is the judge for a target.
func (j *judges) of(target string) approvals.Judge {
	if r, ok := j.remotes[target]; ok {
		return r
	}
	return j.usual
}

// Argv implements approvals.Judge.
func (j *judges) Argv(argv []string, c policy.Context) policy.Decision {
	return j.of(c.Target).Argv(argv, c)
}

// Shell implements approvals.Judge.
func (j *judges) Shell(text string, c policy.Context) policy.Decision {
	return j.of(c.Target).Shell(text, c)
}
