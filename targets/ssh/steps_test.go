package ssh

import (
	"testing"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
	"shannot-gateway/targets/change/changetest"
	"shannot-gateway/targets/ssh/sshdtest"
)

func TestStepsOfAChange(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	changetest.Run(t, changetest.Backend{Target: target, Open: func(t *testing.T, _ *targets.Change) (change.FS, func()) {
		r, err := target.pool.relay(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return &fileSystem{ctx: t.Context(), sftp: r.Client}, func() { target.pool.giveBack(r) }
	}})
}
