package command

import (
	"testing"

	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/rollback"
)

func TestRollback(t *testing.T) {
	steps := func(err error) func(*Verbs, *fakeService) {
		return func(_ *Verbs, f *fakeService) {
			f.steps, f.fails = []rollback.Step{{Summary: render.Line("write /srv/file")}}, err
		}
	}
	tryAll(t, []try{
		{by: approver, line: "rollback " + waitingID, prepare: steps(nil), stdout: []string{"write /srv/file\n"}, stderr: []string{"rolled back"}, did: []string{"rollback abcd2345 force=false plan=false"}},
		{by: admin, line: "rollback --plan " + waitingID, prepare: steps(nil), stdout: []string{"write /srv/file\n"}, stderr: []string{"nothing was done"}, did: []string{"rollback abcd2345 force=false plan=true"}},
		{by: approver, line: "rollback " + waitingID + " --force", prepare: steps(rollback.ErrChangedSince), status: ExitConflict, stdout: []string{"write"}, stderr: []string{"changed"}, did: []string{"rollback abcd2345 force=true plan=false"}},
		{name: "nothing to roll back", by: approver, line: "rollback " + waitingID, prepare: failing(rollback.ErrNothing), status: ExitUsage, stderr: []string{rollback.ErrNothing.Error()}, did: []string{"rollback abcd2345 force=false plan=false"}},
		{name: "no id", by: approver, line: "rollback --plan", status: ExitUsage, stderr: []string{"rollback"}},
	})
}
