package gateway

import (
	"testing"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/gateway/config"
)

func TestCommandsAreJudgedByTheFilesOfTheirTarget(t *testing.T) {
	c, err := config.Parse([]byte(`
[files]
hide = ["/srv/all"]
[remotes.prod]
host = "prod"
[remotes.prod.files]
hide = ["/srv/prod"]
[remotes.bare]
host = "bare"
`), "")
	if err != nil {
		t.Fatal(err)
	}
	j, err := NewJudge(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		target, text string
		want         policy.Verdict
	}{
		{"local", "cat /srv/prod", policy.Allow}, {"local", "cat /srv/all", policy.Ask},
		{"prod", "cat /srv/prod", policy.Ask}, {"prod", "cat /srv/all", policy.Ask}, {"prod", "cat /srv/other", policy.Allow},
		{"bare", "cat /srv/prod", policy.Allow}, {"bare", "cat /srv/all", policy.Ask},
		{"prod", "cat /etc/shadow", policy.Ask}, {"", "cat /srv/all", policy.Ask},
		{"gone", "cat /srv/other", policy.Ask}, {"", "cat /srv/other", policy.Allow},
	} {
		if d := j.Shell(k.text, policy.Context{Target: k.target}); d.Verdict != k.want {
			t.Errorf("%s on %q: %s (%s), want %s", k.text, k.target, d.Verdict, d.Reason, k.want)
		}
		argv := []string{"cat", k.text[len("cat "):]}
		if d := j.Argv(argv, policy.Context{Target: k.target}); d.Verdict != k.want {
			t.Errorf("%q on %q: %s (%s), want %s", argv, k.target, d.Verdict, d.Reason, k.want)
		}
	}
}
