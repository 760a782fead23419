package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
)

func TestGrantIsToldWithWhatItAllowsAndWithoutSecrets(t *testing.T) {
	b := newBook(t, func(o *Options) {
		r, err := NewRedactor(nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Redact = r
	})
	g := grants.Grant{
		N: 3, Kind: grants.Exact, Session: "s", Identity: "claude", Target: "local", Argv: journal.Strings{"mysql", "--password=hunter2", "-e", "x"}, EnvChanges: journal.Strings{"PGPASS=hunter2", "-LANG"},
		Path: "/usr/bin/mysql", Dir: "/", RunAs: "ops", Digest: "d", From: grants.Origin{Session: "s", N: 2},
	}
	alice := journal.Identity{Name: "alice", Role: journal.Approver, Fingerprint: "SHA256:x"}
	for _, what := range []string{"granted", "revoked"} {
		if err := b.Grant(g, what, alice); err != nil {
			t.Fatal(err)
		}
	}
	b.clean()
	var text strings.Builder
	files, err := filepath.Glob(filepath.Join(b.dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
	}
	for _, want := range []string{`"event":"granted"`, `"event":"revoked"`, `"identity":"alice"`, `"session":"s","operation":2`, `session s: mysql`, `"count":3`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log lacks %s: %s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "hunter2") || !strings.Contains(g.String(), "hunter2") {
		t.Error("the password is in the log, or the approver's own copy lost it")
	}
}
