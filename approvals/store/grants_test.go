package store_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/store"
)

func TestGrantsAreKeptByNumbersThatAreNeverUsedAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gateway.db")
	s, err := store.Open(name, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := grants.Grant{
		Kind: grants.Shape, Identity: "claude", Target: "local", Argv: journal.Strings{"x", "a\xff"}, EnvChanges: journal.Strings{"-A"},
		Until: time.Unix(1_800_000_000, 5).UTC(), Varies: []grants.VaryingWord{{Word: 1, Prefix: "/x/", Class: "name"}}, By: "alice",
	}
	second := grants.Grant{Kind: grants.Exact, Session: "abc", Digest: "d"}
	for _, g := range []*grants.Grant{&first, &second} {
		if err := s.PutGrant(g); err != nil {
			t.Fatal(err)
		}
	}
	second.Revoked, second.RevokedBy = time.Unix(1, 0).UTC(), "bob"
	if err := s.PutGrant(&second); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(name, store.Options{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Grants()
	if err != nil || !reflect.DeepEqual(got, []grants.Grant{first, second}) {
		t.Errorf("got %+v, %v; want %+v", got, err, []grants.Grant{first, second})
	}
	if err := s.DeleteGrant(2); err != nil {
		t.Fatal(err)
	}
	third := grants.Grant{}
	if err := s.PutGrant(&third); err != nil || third.N != 3 {
		t.Errorf("the next number is %d, %v; want 3", third.N, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	late := grants.Grant{}
	if err := s.PutGrant(&late); !errors.Is(err, journal.ErrStore) || late.N != 0 {
		t.Errorf("a closed store: %v, number %d", err, late.N)
	}
}
