//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandsExecuteWhatTheyName: a program that no word of the command names does not start, however it is reached.
func TestCommandsExecuteWhatTheyName(t *testing.T) {
	needJail(t)
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	touch, err := exec.LookPath("touch")
	if err != nil {
		t.Fatal(err)
	}
	// The words of the program are in hexadecimal digits, so that none names another one.
	code := func(text string) string {
		const digits = "0123456789abcdef"
		var hex []byte
		for _, b := range []byte(text) {
			hex = append(hex, digits[b>>4], digits[b&15])
		}
		return "import os;exec(bytes.fromhex('" + string(hex) + "'))"
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!"+touch+"\n"), 0o755); err != nil { // #nosec G306 -- it is executed
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(script), 0o755); err != nil { // #nosec G302 -- others execute it
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"by its name":                   "os.execv('" + touch + "', ['touch', '--version'])",
		"by a descriptor":               "os.execve(os.open('" + touch + "', os.O_RDONLY), ['touch', '--version'], {})",
		"by a descriptor's name":        "f = os.open('" + touch + "', os.O_RDONLY); os.set_inheritable(f, True); os.execv('/proc/self/fd/%d' % f, ['touch', '--version'])",
		"by a script":                   "os.execv('" + script + "', ['x', '--version'])",
		"from memory":                   "m = os.memfd_create('x', 0); os.write(m, open('" + touch + "', 'rb').read()); os.execve(m, ['touch', '--version'], {})",
		"with a copy of its own":        "import tempfile; d = tempfile.mkdtemp(); n = d + '/x'; w = os.open(n, os.O_WRONLY | os.O_CREAT, 0o755); os.write(w, open('" + touch + "', 'rb').read()); os.close(w); os.execv(n, ['touch', '--version'])",
		"by the loader, as a mapping":   "os.execv('/bin/sh', ['sh', '-c', 'exec " + touch + " --version'])",
		"through a link of the process": "os.execv('/proc/self/root" + touch + "', ['touch', '--version'])",
	} {
		text = code("try:\n import sys\n " + strings.ReplaceAll(text, "; ", "\n ") + "\nexcept OSError as e:\n print(e.errno)")
		if out := look(t, false, "/", python, "-S", "-c", text); !strings.Contains(out.stdout, "coreutils") {
			t.Errorf("%s, without the jail: %+v", name, out)
		}
		if out := look(t, true, "/", python, "-S", "-c", text); out.stdout != "13\n" && out.stdout != "38\n" {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// TestNamedProgramsAreFound: in texts, behind programs that carry others, with their loader; and who starts others is not bounded.
func TestNamedProgramsAreFound(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string // some of them by their last names
	}{
		{[]string{"ls", "touch"}, "ls"},
		{[]string{"sh", "-c", `x=cat; for f in a; do if "l\s" /bin/head; then $x; fi; done | 'sort'`}, "sh cat ls head sort"},
		{[]string{"sh", "-c", "ls $1", "x"}, "sh ls"},
		{[]string{"timeout", "-s", "KILL", "5", "cat", "x"}, "timeout cat"},
		{[]string{"find", "/etc", "-exec", "sh", "-c", "head {}", ";"}, "find sh head"},
		{[]string{"xargs", "-I", "{}", "wc"}, "xargs wc"},
	} {
		name, err := exec.LookPath(c.argv[0])
		if err != nil {
			t.Fatal(err)
		}
		files, bounded := executables(name, c.argv)
		if !bounded {
			t.Errorf("%q is not bounded", c.argv)
		}
		loaders := 0
		bases := map[string]bool{}
		for _, f := range files {
			bases[filepath.Base(f)] = true
			if strings.Contains(f, "ld-linux") {
				loaders++
			}
		}
		for _, word := range strings.Fields(c.want) {
			if !bases[word] {
				t.Errorf("%q: %s is not in %v", c.argv, word, files)
			}
		}
		if loaders != 1 || bases["touch"] {
			t.Errorf("%q: %v", c.argv, files)
		}
	}
	for _, argv := range [][]string{{"git", "log"}, {"zgrep", "x"}, {"sh", "-c", "zgrep x y | cat"}, {"timeout", "5", "dpkg", "-l"}} {
		if name, err := exec.LookPath(argv[0]); err == nil {
			if files, bounded := executables(name, argv); bounded {
				t.Errorf("%q is bounded to %v", argv, files)
			}
		}
	}
}

// FuzzLoader reads what may be no executable.
func FuzzLoader(f *testing.F) {
	if text, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(text)
	}
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if loader, _ := loaderOf(bytes.NewReader(text)); len(loader) > 256 {
			t.Errorf("%d bytes", len(loader))
		}
	})
}

// TestDisksAreAskedForTheirSize: a command that asks a disk may, and no other one.
func TestDisksAreAskedForTheirSize(t *testing.T) {
	needJail(t)
	disks, _ := filepath.Glob("/sys/block/*")
	for _, disk := range disks {
		disk = "/dev/" + filepath.Base(disk)
		without := look(t, false, "/", "blockdev", "--getsize64", disk)
		if without.status != 0 {
			continue
		}
		if within := look(t, true, "/", "blockdev", "--getsize64", disk); within != without {
			t.Errorf("%+v, without the jail %+v", within, without)
		}
		if out := look(t, true, "/", "sh", "-c", "blockdev --getsize64 "+disk); out.status == 0 {
			t.Errorf("in a text: %+v", out)
		}
		return
	}
	t.Skip("no disk answers here")
}
