//go:build unix

package local

import (
	"fmt"
	"os"
	"os/user"
)

// DefaultAccount is the user of commands on this host, and of everything that the gateway reads there for others, where
// the gateway runs as root and nobody says which. It has no other use: it owns nothing, and has no processes but those of
// commands.
const DefaultAccount = "shannot"

// MakeAccount is how it is made, as one types it.
const MakeAccount = "useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin " + DefaultAccount

// The account where there is none of that name: the one without rights, by name or, where it has none, by number.
const (
	lastAccount = "nobody"
	lastUser    = "65534"
)

// Account is the RunAs of a gateway whose configuration says runAs, and a warning about it, "" for none. Root's rights
// must be asked for by name.
func Account(runAs string) (account, warning string) {
	if os.Geteuid() != 0 {
		return runAs, ""
	}
	if runAs != "" {
		if u, err := named(runAs); err == nil && u.Uid == "0" {
			warning = fmt.Sprintf("scripts read files and approved commands run with all rights of root: [local] run_as = %q", runAs)
		}
		return runAs, warning
	}
	if u, err := user.Lookup(DefaultAccount); err == nil && u.Uid != "0" {
		return DefaultAccount, ""
	}
	account = lastAccount
	if u, err := user.Lookup(lastAccount); err != nil || u.Uid == "0" {
		account = lastUser
	}
	return account, fmt.Sprintf("commands run and files are read as %s, which other services may share: make an account of their own by %q, or name one as run_as under [local]", account, MakeAccount)
}
