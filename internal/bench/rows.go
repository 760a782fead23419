package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	python = "/usr/bin/python3" // not one that a shell finds through shims
	hello  = "print('hello')\n"
	walk   = `import os
n = 0
for d, _, files in os.walk("/usr"):
    for f in files:
        os.lstat(os.path.join(d, f)); n += 1
print(n)
`
	read = `import os
n = 0
for f in os.listdir(%q):
    with open(os.path.join(%[1]q, f), "rb") as file: n += len(file.read())
print(n)
`
	processes = `import os
n = 0
for p in os.listdir("/proc"):
    if p.isdigit():
        try: n += len(open(f"/proc/{p}/stat").read()) + len(open(f"/proc/{p}/status").read())
        except OSError: pass
print(n > 0)
`
)

// Sizes of what is measured.
const (
	crowd      = 50
	smallFiles = 5000
	transfer   = 256 << 20 // bytes
	held       = 8         // sessions
	parked     = 10_000    // sessions
)

var rows = []row{
	{"hello", script(hello, false), "ssh HOST < hello.py against ssh HOST whoami"},
	{"hello shared", script(hello, true), "the same over a connection that stands"},
	{"hello against sshd", helloAgainstSSHD, "against OpenSSH's server with python3 -"},
	{"df shared", df, "ssh HOST df / against ssh HOST whoami"},
	{"50 at once", crowded, "ssh HOST < hello.py against the same with OpenSSH's server and python3 -"},
	{"walk", bare(func(*bench) string { return walk }), "os.walk and lstat over /usr, against python3 without a sandbox"},
	{"read", bare(func(b *bench) string { return fmt.Sprintf(read, b.small) }), "5,000 small files, against the same"},
	{"proc", bare(func(*bench) string { return processes }), "stat and status of each process, against the same"},
	{"scp", scp, "256 MiB from the host, against OpenSSH's server"},
	{"approval", approval, "from approve to the output of the command that waited"},
	{"memory", memory, "of the gateway for each session that waits (PSS)"},
	{"start", restart, "of a gateway with 10,000 parked sessions, against one with none"},
}

// script compares a script with the verb that does nothing, over connections of their own or one that stands.
func script(text string, shared bool) func(context.Context, *bench) (result, error) {
	return func(ctx context.Context, b *bench) (result, error) {
		connect := b.gateway
		if shared {
			master, err := b.gateway.shared(ctx)
			if err != nil {
				return result{}, err
			}
			defer master.leave()
			connect = master
		}
		return b.compare(
			func() error { return connect.run(ctx, text) },
			func() error { return connect.run(ctx, "", "whoami") })
	}
}

func helloAgainstSSHD(ctx context.Context, b *bench) (result, error) {
	return b.compare(
		func() error { return b.gateway.run(ctx, hello) },
		func() error { return b.sshd.run(ctx, hello, python, "-") })
}

func df(ctx context.Context, b *bench) (result, error) {
	master, err := b.gateway.shared(ctx)
	if err != nil {
		return result{}, err
	}
	defer master.leave()
	return b.compare(
		func() error { return master.run(ctx, "", "df", "/") },
		func() error { return master.run(ctx, "", "whoami") })
}

func crowded(ctx context.Context, b *bench) (result, error) {
	all := func(h *host, args ...string) func() error {
		return func() error {
			errs := make([]error, crowd)
			var group sync.WaitGroup
			for i := range crowd {
				group.Go(func() { errs[i] = h.run(ctx, hello, args...) })
			}
			group.Wait()
			for _, err := range errs {
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	return b.few(3).compare(all(b.gateway), all(b.sshd, python, "-"))
}

// bare compares a script's own time with the same interpreter's outside: what connecting takes is not part of it.
func bare(text func(*bench) string) func(context.Context, *bench) (result, error) {
	return func(ctx context.Context, b *bench) (result, error) {
		timed := "import time as _t; _b = _t.perf_counter()\n" + text(b) + "\nprint('took', _t.perf_counter() - _b)\n"
		inside := func() (time.Duration, error) { return took(b.gateway.output(ctx, timed)) }
		outside := func() (time.Duration, error) { return took(b.python(ctx, timed)) }
		return b.few(5).compareTimes(inside, outside)
	}
}

func took(out string, err error) (time.Duration, error) {
	if err != nil {
		return 0, err
	}
	_, seconds, found := strings.Cut(out, "took ")
	d, err := time.ParseDuration(strings.TrimSpace(seconds) + "s")
	if !found || err != nil {
		return 0, fmt.Errorf("the script printed %q", out)
	}
	return d, nil
}

func scp(ctx context.Context, b *bench) (result, error) {
	name := filepath.Join(b.shown, "large")
	if err := os.WriteFile(name, make([]byte, transfer), 0o644); err != nil { // #nosec G306 -- to be read by scripts
		return result{}, err
	}
	defer func() { _ = os.Remove(name) }()
	to := filepath.Join(b.dir, "copy")
	return b.few(3).compare(
		func() error { return b.gateway.scp(ctx, "/local"+name, to) },
		func() error { return b.sshd.scp(ctx, name, to) })
}

// session is what list and show --json have that is needed here.
type session struct {
	ID      string `json:"session"`
	Waiting string `json:"waiting_digest"`
}

// waiting returns the sessions that wait, once there are n.
func (b *bench) waiting(ctx context.Context, n int) ([]session, error) {
	for {
		out, err := b.approver.output(ctx, "", "list", "--json")
		if err != nil {
			return nil, err
		}
		var all []session
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(s session) bool { return s.Waiting == "" })
		if len(all) >= n {
			return all, nil
		}
	}
}

func approval(ctx context.Context, b *bench) (result, error) {
	var times []time.Duration
	for range b.few(5).rounds {
		ended := make(chan error, 1)
		go func() { ended <- b.gateway.run(ctx, "", "exec", "--", "touch", filepath.Join(b.dir, "mark")) }()
		waiting, err := b.waiting(ctx, 1)
		if err != nil {
			return result{}, err
		}
		from := time.Now()
		if err := b.approver.run(ctx, "", "approve", waiting[0].ID, "--digest", waiting[0].Waiting); err != nil {
			return result{}, err
		}
		if err := <-ended; err != nil {
			return result{}, err
		}
		times = append(times, time.Since(from))
	}
	return result{value: milliseconds(median(times))}, nil
}

func memory(ctx context.Context, b *bench) (result, error) {
	before, err := b.pss()
	if err != nil {
		return result{}, err
	}
	clients, leave := context.WithCancel(ctx)
	var group sync.WaitGroup
	for range held {
		group.Go(func() { _ = b.gateway.run(clients, "import subprocess; subprocess.run(['touch', '/nonexistent/x'])\n") })
	}
	all, err := b.waiting(ctx, held)
	var after int64
	if err == nil {
		after, err = b.pss()
	}
	for _, s := range all {
		_ = b.approver.run(ctx, "", "reject", s.ID, "--reason", "measured")
	}
	leave()
	group.Wait()
	return result{value: fmt.Sprintf("%.1f MiB", float64(after-before)/held/(1<<20))}, err
}
