//go:build unix

package local

import (
	"os"
	"os/user"
	"strings"
	"testing"
)

// Without a word in the configuration nothing of this host is done with root's rights.
func TestRootsRightsAreForWhoAsksByName(t *testing.T) {
	if os.Geteuid() != 0 {
		if account, warning := Account("x"); account != "x" || warning != "" {
			t.Errorf("%q, %q", account, warning)
		}
		t.Skip("not root")
	}
	account, warning := Account("")
	l := newLocal(t, account)
	if l.Account().UID == 0 {
		t.Fatalf("%+v", l.Account())
	}
	if _, err := user.Lookup(DefaultAccount); err == nil && (account != DefaultAccount || warning != "") || err != nil && !strings.Contains(warning, MakeAccount) {
		t.Errorf("%q, %q", account, warning)
	}
	if account, warning := Account("nobody"); account != "nobody" || warning != "" {
		t.Errorf("%q, %q", account, warning)
	}
	for _, root := range []string{"root", "0"} {
		if account, warning := Account(root); account != root || !strings.Contains(warning, "all rights of root") {
			t.Errorf("%q, %q", account, warning)
		}
	}
}

// An account need not have a name.
func TestAccountsByNumber(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	if a := newLocal(t, "61234").Account(); a.UID != 61234 || a.GID != 61234 || a.Home != "/" {
		t.Errorf("%+v", a)
	}
	if a := newLocal(t, "0").Account(); a.Name != "root" {
		t.Errorf("%+v", a)
	}
	for _, name := range []string{"4294967295", "4294967296", "-1", "no-such-user"} {
		if _, err := New(Options{RunAs: name}); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
