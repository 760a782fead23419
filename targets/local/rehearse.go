//go:build unix

package local

import (
	"context"
	"syscall"

	"shannot-gateway/targets"
	"shannot-gateway/targets/rehearsal"
	"shannot-gateway/vfs"
)

var _ targets.Rehearser = (*Local)(nil)

// Init must be called first of all in main by every program that uses Rehearse, and by TestMain in its tests. In the world of a rehearsal
// it does not return.
func Init() {
	rehearsal.Init(func(account *targets.Account) (targets.FileTarget, error) {
		l := &Local{whole: vfs.NewHost()}
		if account != nil {
			l.account, l.rights = *account, vfs.NewRights(account.UID, account.GID, account.Groups)
		}
		l.files = l.whole
		var files any = l
		if f, ok := files.(targets.FileTarget); ok { // on Linux
			return f, nil
		}
		return nil, targets.ErrNoRehearsal
	})
}

// Rehearse runs commands in a copy of this host, as the account: see targets.Rehearser. It returns EAGAIN where too many commands
// run already.
func (l *Local) Rehearse(ctx context.Context, r targets.Rehearsal) (*targets.Rehearsed, error) {
	if !l.admit() {
		return nil, syscall.EAGAIN
	}
	defer l.running.Add(-1)
	var account *targets.Account
	if l.switchU {
		account = &l.account
	}
	return rehearsal.Run(ctx, r, account)
}
