package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

//go:generate go test -run TestGoldenScreens . -update

var update = flag.Bool("update", false, "write the golden screens and the pictures of docs/approving.md anew")

// scene is a screen as it must look, at each of its sizes. One with a caption is a picture in docs/approving.md, at
// the size of the picture.
type scene struct {
	name    string
	open    string // session
	backend func() *fakeBackend
	act     func(s *screen, f *fakeBackend)
	picture Size
	change  func(*Options)
}

var sizes = []Size{{40, 12}, {80, 24}, {120, 40}, {200, 60}}

var scenes = []scene{
	{name: "inbox", backend: busyNight, act: func(s *screen, _ *fakeBackend) { s.until("5 wait") }, picture: Size{100, 20}},
	{name: "inbox-empty", backend: func() *fakeBackend { return newFake() }, act: func(s *screen, _ *fakeBackend) { s.until("Nothing waits") }},
	{name: "inbox-find", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		s.until("5 wait")
		s.press("/", "risk:danger")
		s.until("/risk:danger", "of 5")
	}},
	{name: "inbox-news", backend: busyNight, act: func(s *screen, f *fakeBackend) {
		s.until("5 wait")
		if _, err := f.Reject(s.t.Context(), "k3v9t2aa", bob, []int{1}, "after the release"); err != nil {
			s.t.Error(err)
		}
		s.until("bob rejected")
	}},
	{name: "history", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		s.until("5 wait")
		s.press("h")
		s.until("Decided of late")
	}, picture: Size{100, 14}},
	{name: "session", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		s.until("5 wait")
		s.press("/", "id:k3v9t2aa", "enter", "enter")
		s.until("WAITS", "WAITS")
	}, picture: Size{100, 16}},
	{name: "script", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		s.until("5 wait")
		s.press("/", "id:k3v9t2aa", "enter", "enter")
		s.until("WAITS")
		s.press("2")
		s.until("operation 1 WAITS", "12 ▸")
	}, picture: Size{100, 26}},
	{name: "operation", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, _ *fakeBackend) { s.until("Operation 1") }, picture: Size{100, 24}},
	{name: "operation-attack", open: "b7m1x0cc", backend: busyNight, act: func(s *screen, _ *fakeBackend) { s.until("Operation 1") }, picture: Size{100, 24}},
	{name: "approve", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		readAll(s)
		s.press("a")
		s.until("y yes")
	}, picture: Size{100, 12}},
	{name: "danger", open: "d0a5r7bb", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		readAll(s)
		s.press("a")
		s.until("Type the target's name")
		s.press("pro")
		s.until("> pro")
	}, picture: Size{100, 12}},
	{name: "undo", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		readAll(s)
		s.press("a")
		s.until("y yes")
		s.press("y")
		s.until("Approving operation 1")
	}, change: func(o *Options) { o.Pace.Undo = 3 * time.Hour }},
	{name: "result", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, f *fakeBackend) {
		readAll(s)
		s.press("a")
		s.until("y yes")
		s.press("y")
		s.until(": approved", "it ran")
		f.operationWrites("k3v9t2aa", 1, output.Chunk{Stream: output.Stderr, Data: []byte("nginx: reloaded\n")})
		s.until("nginx: reloaded")
		f.change("k3v9t2aa", func(x *journal.Session) {
			code := 0
			x.Operations[0].ExitCode, x.Operations[0].Finished = &code, start
		})
		s.until("Ended       exit 0")
	}, picture: Size{100, 24}},
	{name: "reject", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		s.until("WAITS")
		s.press("r")
		s.until("Why not?")
		s.press("down", "down", "down")
		s.until("> not during business hours")
	}, picture: Size{100, 20}},
	{name: "files", backend: filesNight, act: func(s *screen, _ *fakeBackend) {
		s.until("1 wait")
		s.press("enter")
		s.until("WAITS")
		s.press("3")
		s.until("operation 1 WAITS", "write")
		s.gone("being read")
	}, picture: Size{132, 36}},
	{name: "operation-write", open: "f1l3s0aa", backend: filesNight, act: func(s *screen, _ *fakeBackend) {
		s.alone()
		s.until("Operation 1")
		s.gone("being read")
	}, picture: Size{100, 40}},
	{name: "grant", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		readAll(s)
		s.press("t", "2")
		s.until("without asking")
		s.until("(shape")
	}, picture: Size{100, 20}},
	{name: "rollback", open: "f1l3s0aa", backend: ended, act: func(s *screen, _ *fakeBackend) {
		s.until("done")
		s.press("z")
		s.until("1  write")
	}, picture: Size{100, 12}},
	{name: "review", open: "s4v1c3aa", backend: maintenance, act: func(s *screen, _ *fakeBackend) {
		s.until("operation 1, 1 of 4")
		s.gone("being read")
	}, picture: Size{100, 50}},
	{name: "review-approve", open: "s4v1c3aa", backend: maintenance, act: func(s *screen, _ *fakeBackend) {
		s.until("operation 1, 1 of 4")
		s.gone("being read")
		readAll(s)
		s.press("a")
		s.until("Run these 4 operations")
	}},
	{name: "help", open: "k3v9t2aa", backend: busyNight, act: func(s *screen, _ *fakeBackend) {
		s.until("WAITS")
		s.press("?")
		s.until("An operation")
	}},
}

// readAll reads the open operation to its end.
func readAll(s *screen) {
	s.t.Helper()
	s.until("WAITS")
	for range 100 {
		if strings.Contains(s.text(), "All of it has been shown") {
			return
		}
		s.until("more lines: space")
		s.press("space")
	}
	s.t.Fatal("the end never came")
}

// TestGoldenScreens compares whole screens, drawn by a terminal, with the ones under testdata/golden, and the pictures
// of docs/approving.md with the ones that the scenes make. go generate writes them anew.
func TestGoldenScreens(t *testing.T) {
	for _, s := range scenes {
		all := sizes
		if s.picture != (Size{}) {
			all = append([]Size{s.picture}, sizes...)
		}
		for i, size := range all {
			if testing.Short() && i > len(all)-3 {
				continue // the large ones differ little
			}
			t.Run(fmt.Sprintf("%s-%dx%d", s.name, size.Width, size.Height), func(t *testing.T) {
				t.Parallel()
				f := s.backend()
				v := openScreen(t, f, alice, size.Width, size.Height, s.open, func(o *Options) {
					if s.change != nil {
						s.change(o)
					}
				})
				s.act(v, f)
				if size == s.picture {
					v.compare(filepath.Join("..", "..", "docs", "pictures", s.name+".svg"), v.svg)
				} else {
					v.compare(filepath.Join("testdata", "golden", fmt.Sprintf("%s-%dx%d.txt", s.name, size.Width, size.Height)), v.rows)
				}
			})
		}
	}
}

// compare fails unless the screen is the one in the file once nothing happens any more, or writes it there.
func (s *screen) compare(name string, now func() string) {
	s.t.Helper()
	want, err := os.ReadFile(name)
	if err != nil && !*update {
		s.t.Fatalf("%v; write it with: go generate ./gateway/tui", err)
	}
	if now() == string(want) {
		return
	}
	// Something may still come: an answer of the backend, or what a goroutine has been told and not handed on yet.
	for s.next() {
		if now() == string(want) {
			return
		}
	}
	if !*update {
		s.t.Fatalf("the screen is not what is in %s (if it should look different now: go generate ./gateway/tui). It is\n%s", name, s.rows())
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(now()), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// maintenance is a session of four operations that belong together.
func maintenance() *fakeBackend {
	x := several(4, policy.Caution)
	x.ID, x.Name, x.Analysis = "s4v1c3aa", "raise the upload limit", "Uploads above 1 MB fail since the release.\nI raise the limit and reload nginx."
	write := &x.Operations[0]
	write.Kind, write.Command, write.Summary, write.Why = "write", nil, "write /etc/nginx/conf.d/limit.conf, 27 bytes", "changes a file of the system's configuration"
	write.File = &journal.File{
		Op: "write", Target: "prod", RunAs: "ops", Path: "/etc/nginx/conf.d/limit.conf", Size: 27, SHA256: strings.Repeat("ab", 32), Kept: true, Perms: true, Mode: 0o644,
		Was: &journal.FileState{Mode: 0o100644, Size: 26, SHA256: strings.Repeat("cd", 32)},
	}
	for i, argv := range [][]string{{"nginx", "-t"}, {"systemctl", "reload", "nginx"}, {"logger", "upload limit raised"}} {
		x.Operations[i+1].Command.Argv, x.Operations[i+1].Command.Path = argv, "/usr/sbin/"+argv[0]
		x.Operations[i+1].Why = argv[0] + " changes the system"
	}
	x.Operations[1].Command.Needs, x.Operations[1].Command.Before = []int{1}, []string{write.Digest}
	f := newFake(x)
	f.texts = map[string][2]string{"/etc/nginx/conf.d/limit.conf": {"client_max_body_size 1m;\n", "client_max_body_size 20m;\n"}}
	return f
}

// busyNight is what an approver finds at three in the morning.
func busyNight() *fakeBackend {
	script := `#!/usr/bin/env python3
"""Renew what the certificate check found, and reload."""
import subprocess

HOSTS = ["www", "api"]  # behind the same proxy

def renew(host: str) -> int:
    # nothing is written before the check has passed
    check = subprocess.run(["nginx", "-t"], capture_output=True)
    if check.returncode != 0:
        raise SystemExit(f"{host}: {check.stderr.decode()!r}")
    return subprocess.run(["systemctl", "reload", "nginx"]).returncode

for host in HOSTS:
    print(host, renew(host))
`
	reload := held("k3v9t2aa", policy.Caution, "systemctl", "reload", "nginx")
	reload.Script, reload.Name, reload.Analysis = script, "renew certificates", "The certificates end in 3 days.\nI reload nginx once they are renewed."
	reload.Operations[0].Command.Line = 12
	reload.Operations[0].Effect, reload.Operations[0].Undo = "nginx reads its configuration anew; connections stay open", "no"
	wipe := held("d0a5r7bb", policy.Danger, "rm", "-rf", "/srv/cache/old")
	wipe.Created, wipe.Deadline = start.Add(-9*time.Minute), start.Add(50*time.Second)
	wipe.Operations[0].Created, wipe.Operations[0].Why = start.Add(-9*time.Minute), "rm -r removes whole folders"
	wipe.Identity, wipe.Name, wipe.Target = "gpt-ops", "free disk space", "prod"
	attack := held("b7m1x0cc", policy.Unknown, "c\u0430t", "/etc/hosts\x1b[2J\x1b[1;1HApproved", "notes\u202etxt.sh")
	attack.Operations[0].Why = "the program is not known to the policy"
	attack.Identity, attack.Name = "scraper", "just reading \u200bfiles"
	parked := held("p4r8k1dd", policy.Caution, "sh", "-c", "cd /srv/app && git pull\nmake install")
	parked.Status, parked.Deadline, parked.Created = journal.StatusParked, start.Add(20*time.Hour), start.Add(-4*time.Hour)
	parked.Operations[0].Created = start.Add(-4 * time.Hour)
	parked.Operations = append(parked.Operations, waitingOp(2, policy.Caution, "systemctl", "restart", "app"))
	parked.Operations[1].Created = start.Add(-4 * time.Hour)
	mine := held("m1n3f5ee", policy.Caution, "apt-get", "install", "htop")
	mine.Identity, mine.Name = "alice", ""

	done := held("w8d2g6ff", policy.Caution, "journalctl", "--vacuum-size=1G")
	code := 0
	done.Status, done.Ended, done.ExitCode, done.Deadline = journal.StatusDone, start.Add(-10*time.Minute), &code, time.Time{}
	done.Operations[0].Decision, done.Operations[0].By, done.Operations[0].Started = journal.Approved, "bob", start.Add(-11*time.Minute)
	refused := held("r5s9h3gg", policy.Danger, "mkfs.ext4", "/dev/sdb1")
	seventy := 77
	refused.Status, refused.Ended, refused.ExitCode, refused.Deadline = journal.StatusRejected, start.Add(-3*time.Hour), &seventy, time.Time{}
	refused.Operations[0].Decision, refused.Operations[0].By, refused.Operations[0].Reason = journal.Rejected, "alice", "that disk is in use"
	f := newFake(reload, wipe, attack, parked, mine, done, refused)
	f.chunks["k3v9t2aa"] = []output.Chunk{{Stream: output.Stdout, Data: []byte("www: certificate renewed\n")}}
	return f
}
