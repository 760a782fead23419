package ssh

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
)

func TestWhatAnInterruptedChangeLeftIsRemovedAtTheNextConnection(t *testing.T) {
	server := sshdtest.Start(t)
	dir := t.TempDir()
	temp, err := targets.TempName("test-1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := targets.TempName("test-10")
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/"+temp, "half of it", 0o600)
	put(t, dir+"/"+other, "another change's", 0o600)
	put(t, dir+"/f", "old", 0o600)

	away := errors.New("away")
	down := true
	target := newTarget(t, hopTo(server, "prod"))
	dial := target.dialer.dial
	target.dialer.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if down {
			return nil, away
		}
		return dial(ctx, network, address)
	}
	if err := target.Sweep(t.Context(), "test-1", dir+"/f"); err == nil {
		t.Fatal("a host that is away was swept")
	}
	if _, err := os.Stat(dir + "/" + temp); err != nil {
		t.Fatal(err)
	}
	down = false
	target.attempts.ended(nil)
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, dir), other+" -rw------- \"another change's\"\nf -rw------- \"old\"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(target.leftovers.list) != 0 {
		t.Errorf("still remembered: %v", target.leftovers.list)
	}
}

func TestAChangeOfTheSameIDIsNotSweptLater(t *testing.T) {
	server := sshdtest.Start(t)
	target := connect(t, server)
	dir := t.TempDir()
	target.leftovers.add(leftover{"test-1", dir + "/f"})
	if err := target.Apply(t.Context(), writing(dir+"/f", "new", 0o600, nil)); err != nil {
		t.Fatal(err)
	}
	temp, err := targets.TempName("test-1")
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/"+temp, "under way again", 0o600)
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/" + temp); err != nil {
		t.Error(err)
	}
}

func TestLeftoversAreBounded(t *testing.T) {
	var l leftovers
	for range 2 {
		for i := range maxLeftovers {
			l.add(leftover{"a", string(rune('a' + i))})
		}
	}
	l.add(leftover{"b", "one too many"})
	if len(l.list) != maxLeftovers {
		t.Errorf("%d are remembered", len(l.list))
	}
	swept := 0
	l.each(func(leftover) bool { swept++; return swept%2 == 0 })
	if swept != maxLeftovers || len(l.list) != maxLeftovers/2 {
		t.Errorf("%d were swept, %d are left", swept, len(l.list))
	}
	l.forget("a")
	if len(l.list) != 0 {
		t.Errorf("%d are left", len(l.list))
	}
}
