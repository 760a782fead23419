package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
	"shannot-gateway/targets/local"
)

func TestMain(m *testing.M) {
	native.Init()
	jail.Init()
	local.Init()
	// What runs beside others waits more than it works. A number that is given on the command line is parsed later, and counts.
	if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// running is a gateway on a loopback port with a key for an agent and one for an approver.
type running struct {
	tb              testing.TB
	address         string
	gateway         *Gateway
	settings        Settings // those that it began with
	agent, approver gossh.Signer
	stop            func() error // stops it as a signal does, and returns what Serve does
}

func newSigner(tb testing.TB) (gossh.Signer, string) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, string(gossh.MarshalAuthorizedKey(signer.PublicKey()))
}

// start starts a gateway that ends with the test. more is appended to its configuration.
func start(tb testing.TB, more string) *running {
	tb.Helper()
	return startWith(tb, more, nil)
}

// startWith is start for a journal with an auditor of the test's own.
func startWith(tb testing.TB, more string, auditor journal.Auditor) *running {
	tb.Helper()
	return startAltered(tb, more, auditor, func(*Options) {})
}

// startAltered is startWith for a gateway that is made of other parts.
func startAltered(tb testing.TB, more string, auditor journal.Auditor, alter func(*Options)) *running {
	tb.Helper()
	r := &running{tb: tb}
	var agentKey, approverKey string
	r.agent, agentKey = newSigner(tb)
	r.approver, approverKey = newSigner(tb)
	c, err := config.Parse(fmt.Appendf(nil, "[identities.claude]\nrole = \"agent\"\nkeys = [%q]\n[identities.alice]\nrole = \"approver\"\nkeys = [%q]\n%s",
		agentKey[:len(agentKey)-1], approverKey[:len(approverKey)-1], more), "")
	if err != nil {
		tb.Fatal(err)
	}
	state := tb.TempDir()
	if err := c.SetState(state); err != nil {
		tb.Fatal(err)
	}
	o := Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler)}
	if o.HostKeys, err = hostkeys.Load(filepath.Join(state, "hostkeys"), c.HostKeys, rand.Reader); err != nil {
		tb.Fatal(err)
	}
	journal, err := store.OpenUnsynced(filepath.Join(state, "gateway.db"), store.Options{Auditor: auditor})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = journal.Close() })
	host, err := local.New(local.Options{Jail: true})
	if err != nil {
		tb.Fatal(err)
	}
	judge, err := policy.New(c.Profile)
	if err != nil {
		tb.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	engine := native.New(native.Options{Runtime: filepath.Join(cache, "shannot-gateway", "runtime"), Log: o.Log})
	tb.Cleanup(func() { _ = engine.Close() })
	if err := engine.Check(tb.Context()); err != nil {
		tb.Skip("the sandbox does not work here: ", err)
	}
	o.Store, o.Judge, o.Engine, o.Targets = journal, judge, engine, []targets.Target{host}
	alter(&o)
	g, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r.address, r.gateway, r.settings = l.Addr().String(), g, Settings{o.Config, o.Judge, o.Targets}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	r.stop = sync.OnceValue(func() error { stop(); return <-ended })
	tb.Cleanup(func() {
		if err := r.stop(); err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return r
}

// dial connects with these keys, in this order.
func (r *running) dial(signers ...gossh.Signer) (*gossh.Client, error) {
	return gossh.Dial("tcp", r.address, &gossh.ClientConfig{
		User: "shannot", Auth: []gossh.AuthMethod{gossh.PublicKeys(signers...)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
}

// as connects and fails the test where that does not work.
func (r *running) as(signers ...gossh.Signer) *gossh.Client {
	r.tb.Helper()
	c, err := r.dial(signers...)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = c.Close() })
	return c
}
