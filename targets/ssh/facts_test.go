package ssh

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"shannot-gateway/targets"
)

// A directory service has accounts that no file has: then the gateway asks a command, a fixed one.
func TestAccountsOfNoFileAreAskedFor(t *testing.T) {
	f, target := startFake(t, map[string]*fakeFile{"/home": {mode: fs.ModeDir | 0o755}})
	var asked []string
	f.says = func(command string) string {
		asked = append(asked, command)
		return "Linux\nfar\n6.1\n#1 SMP\nriscv64\n1234\n56\n56 78\n" + shellProbe + "\n"
	}
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := target.Account()
	if a.Name != "root" || a.UID != 1234 || a.GID != 56 || !slices.Equal(a.Groups, []uint32{56, 78}) || a.Home != "/" || a.Shell != "" {
		t.Errorf("%+v", a)
	}
	if u := target.Uname(); u != (targets.Uname{Sysname: "Linux", Nodename: "far", Release: "6.1", Version: "#1 SMP", Machine: "riscv64"}) {
		t.Errorf("%+v", u)
	}
	if asked[0] != askingCommand || len(asked) != 3 { // what follows tries walls
		t.Errorf("asked %q", asked)
	}
}

// TestTargetsThatLieAboutTheirWall have none, and what they say of it is bounded and plain.
func TestTargetsThatLieAboutTheirWall(t *testing.T) {
	for name, says := range map[string]string{
		"nothing": "", "too much": strings.Repeat("x\n", 1<<20), "one line": strings.Repeat("x", 1<<20), "escapes": "\x1b[2J\x1b]0;a\x07\nb\r",
		"yes": "ok\ntrue\n0\n",
	} {
		f, target := startFake(t, map[string]*fakeFile{})
		f.says = func(string) string { return says }
		if err := target.Connect(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		stands, what := target.Wall()
		if stands || len(what) > 1200 || strings.ContainsAny(what, "\x1b\a\r\n") {
			t.Errorf("%s: %v, %q", name, stands, what)
		}
	}
}

func TestWhatATargetSaysOfItselfIsBounded(t *testing.T) {
	for name, says := range map[string]func(string) string{
		"nothing":       nil,
		"too much":      func(string) string { return strings.Repeat("x\n", 1<<20) },
		"one line":      func(string) string { return strings.Repeat("x", 3000) },
		"no numbers":    func(string) string { return "a\nb\nc\nd\ne\n-1\nroot\n0 x\n" + shellProbe + "\n" },
		"escapes":       func(string) string { return "\x1b[2J\nb\nc\nd\ne\n1\n99999999999\n0\n" + shellProbe + "\n" },
		"another shell": func(string) string { return "a\nb\nc\nd\ne\n1\n1\n1\na\\b\n" },
		"many groups": func(string) string {
			return "a\nb\nc\nd\ne\n1\n1\n" + strings.Repeat("1 ", 1500) + "\n" + shellProbe + "\n"
		},
	} {
		f, target := startFake(t, map[string]*fakeFile{
			"/etc": {mode: fs.ModeDir | 0o755}, "/etc/passwd": {mode: 0o644, data: []byte("root:x:0:0::/root\nroot:x:99999999999:0::/root:/bin/sh\n:::::::\n")},
			"/proc/sys/kernel/hostname": {mode: 0o444, data: []byte("a\x1b]0;b\nc")},
		})
		f.says = says
		if err := target.Connect(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a, u := target.Account(), target.Uname()
		if a.Name != "root" || a.UID == 0 || len(a.Groups) > maxGroups {
			t.Errorf("%s: %+v", name, a)
		}
		for _, text := range []string{u.Sysname, u.Nodename, u.Release, u.Version, u.Machine, a.Home, a.Shell} {
			if strings.ContainsAny(text, "\x1b\n") || len(text) > 256 {
				t.Errorf("%s: %q", name, text)
			}
		}
		if _, err := line(targets.Command{Path: "/bin/ls", Argv: []string{"ls"}, Dir: "/"}, a.Shell, "mark", false, nil); name == "another shell" && !errors.Is(err, errShell) {
			t.Errorf("%s: a command would be sent: %v", name, err)
		}
	}
}
