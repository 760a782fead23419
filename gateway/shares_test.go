package gateway

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
)

func TestNobodyTakesAnothersShare(t *testing.T) {
	s := newShares()
	var given []func()
	for range 3 {
		give, ok := s.take("greedy", 3, 4)
		if !ok {
			t.Fatal("a place within its share was refused")
		}
		given = append(given, give)
	}
	if _, ok := s.take("greedy", 3, 4); ok {
		t.Error("one got more than its share")
	}
	for _, name := range []string{"second", "third"} { // the last two are beyond the sum
		if _, ok := s.take(name, 3, 4); !ok {
			t.Errorf("%s was kept out", name)
		}
		if _, ok := s.take(name, 3, 4); ok {
			t.Errorf("%s got a second one beyond the sum", name)
		}
	}
	given[0]()
	given[0]() // once more is nothing
	given[1]()
	if _, ok := s.take("greedy", 3, 4); !ok {
		t.Error("a place that was given back is not there")
	}
	if _, ok := s.take("third", 0, 0); !ok {
		t.Error("no limit is one")
	}
}

func TestOneAgentsUploadsDoNotKeepAnotherOut(t *testing.T) {
	other, key := newSigner(t)
	dir := t.TempDir()
	blobs := func(o *Options) { o.Blobs = o.Store.(journal.Blobs) } // uploads can be approved
	r := startAltered(t, fmt.Sprintf("[identities.second]\nrole = \"agent\"\nkeys = [%q]\n[files]\nread = [%q]\nscratch = []\n[limits]\nuploads = 3\nuploads_per_identity = 3\n", strings.TrimSpace(key), dir), nil, blobs)
	create := func(signer gossh.Signer, name string) error {
		c, err := sftp.NewClient(r.as(signer))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, err = c.Create("/local" + dir + "/" + name)
		return err
	}
	for i := range 3 {
		if err := create(r.agent, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(r.agent, "more"); err == nil {
		t.Error("one agent got more than its share")
	}
	if err := create(other, "new"); err != nil {
		t.Errorf("another agent was kept out: %v", err)
	}
}
