package approvals

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/targets"
)

func someFile() File {
	return File{
		Op: targets.Write, Target: "local", RunAs: "root", Path: "/srv/a", To: "/srv/b", Perms: true, Mode: 0o644, UID: 1, GID: 2,
		Mtime: time.Unix(5, 6).UTC(), Size: 3, SHA256: sha256Hex([]byte("one")),
		Was:   &FileState{Mode: syscall.S_IFREG | 0o600, UID: 3, GID: 4, Size: 7, Mtime: time.Unix(8, 0).UTC(), Link: "l", SHA256: sha256Hex([]byte("two"))},
		WasTo: &FileState{Mode: syscall.S_IFREG | 0o600, Mtime: time.Unix(9, 0).UTC()},
		Kept:  true, Lost: "why",
	}
}

func TestFileDigestCoversEverythingThatMatters(t *testing.T) {
	base := someFile()
	seen := map[string]string{base.Digest(): "the file itself"}
	for name, change := range map[string]func(*File){
		"op": func(f *File) { f.Op = targets.Chmod }, "target": func(f *File) { f.Target = "prod" }, "user": func(f *File) { f.RunAs = "ops" },
		"path": func(f *File) { f.Path += "x" }, "to": func(f *File) { f.To = "" }, "moved bytes": func(f *File) { f.Path, f.To = "/srv/a/", "srv/b" },
		"mode": func(f *File) { f.Mode = 0o4644 }, "uid": func(f *File) { f.UID = 0 }, "gid": func(f *File) { f.GID = 0 },
		"no perms": func(f *File) { f.Perms = false }, "mtime": func(f *File) { f.Mtime = time.Time{} },
		"size": func(f *File) { f.Size++ }, "content": func(f *File) { f.SHA256 = sha256Hex(nil) },
		"nothing before": func(f *File) { f.Was = nil }, "nothing at the new name": func(f *File) { f.WasTo = nil },
		"mode before": func(f *File) { f.Was.Mode = syscall.S_IFREG | 0o644 }, "owner before": func(f *File) { f.Was.UID++ },
		"group before": func(f *File) { f.Was.GID++ }, "size before": func(f *File) { f.Was.Size++ }, "link before": func(f *File) { f.Was.Link = "m" },
		"content before": func(f *File) { f.Was.SHA256 = sha256Hex(nil) }, "kind before": func(f *File) { f.Was.Mode = syscall.S_IFLNK },
		"time before, without a hash": func(f *File) { f.WasTo.Mtime = time.Unix(10, 0) },
		"swapped":                     func(f *File) { f.Was, f.WasTo = f.WasTo, f.Was },
	} {
		f := someFile()
		change(&f)
		digest := f.Digest()
		if other, ok := seen[digest]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[digest] = name
	}
	for name, change := range map[string]func(*File){
		"kept": func(f *File) { f.Kept, f.Lost = false, "" }, "time before, with a hash": func(f *File) { f.Was.Mtime = time.Unix(10, 0) },
	} {
		f := someFile()
		change(&f)
		if f.Digest() != base.Digest() {
			t.Errorf("%s changes the digest", name)
		}
	}
}

func TestCommandDigestCoversTheFilesBeforeItAndItsScratch(t *testing.T) {
	plain := Command{Target: "local", Path: "/bin/true", Argv: Strings{"true"}}
	f, g := someFile(), someFile()
	g.Path = "/tmp/other"
	digests := []string{plain.Digest()}
	for _, c := range []Command{
		{Before: []string{f.Digest()}}, {Before: []string{g.Digest()}}, {Before: []string{f.Digest(), g.Digest()}}, {Before: []string{g.Digest(), f.Digest()}},
		{Scratch: []File{f}}, {Scratch: []File{f, g}}, {Before: []string{f.Digest()}, Scratch: []File{g}},
	} {
		c.Target, c.Path, c.Argv = plain.Target, plain.Path, plain.Argv
		digests = append(digests, c.Digest())
	}
	slices.Sort(digests)
	if len(slices.Compact(digests)) != 8 {
		t.Error("two different commands have one digest")
	}
}

func TestFileRecordComesBackToTheByte(t *testing.T) {
	f := someFile()
	f.Path, f.To, f.Was.Link = "/srv/\xff\xfe", "\x80", "\xc3\x28"
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back File
	if err := json.Unmarshal(text, &back); err != nil || back.Digest() != f.Digest() || back.Path != f.Path || !back.Kept {
		t.Errorf("%s became %+v, %v", text, back, err)
	}
}

func FuzzExact(f *testing.F) {
	f.Add("/etc/passwd")
	f.Add("\xff\x00")
	f.Add(`{"b64":"AA=="}`)
	f.Fuzz(func(t *testing.T, s string) {
		text, err := json.Marshal(Exact(s))
		if err != nil {
			t.Fatal(err)
		}
		var back Exact
		if err := json.Unmarshal(text, &back); err != nil || string(back) != s {
			t.Errorf("%q became %s became %q, %v", s, text, back, err)
		}
		_ = back.UnmarshalJSON([]byte(s)) // whatever it is, no panic
	})
}

func TestFileRisk(t *testing.T) {
	write := func(path string, mode uint32) File {
		return File{Op: targets.Write, Path: Exact(path), Perms: true, Mode: mode}
	}
	over := func(f File) File { f.Was = &FileState{Mode: syscall.S_IFREG | 0o644}; return f }
	for _, tt := range []struct {
		f    File
		risk policy.Risk
		word string
	}{
		{write("/srv/www/index.html", 0o644), policy.Safe, "new"},
		{over(write("/srv/www/index.html", 0o644)), policy.Caution, "replaced"},
		{write("/srv/run.sh", 0o755), policy.Caution, "program"},
		{write("/etc/motd", 0o644), policy.Caution, "/etc"},
		{write("/etc/passwd", 0o644), policy.Danger, "accounts"},
		{write("/etc/passwd-", 0o644), policy.Danger, "accounts"},
		{write("/etc/sudoers.d/x", 0o440), policy.Danger, "sudo"},
		{write("/etc/cron.d/x", 0o644), policy.Danger, "scheduled"},
		{write("/etc/crontab", 0o644), policy.Danger, "scheduled"},
		{write("/var/spool/cron/crontabs/root", 0o600), policy.Danger, "scheduled"},
		{write("/etc/systemd/system/x.service", 0o644), policy.Danger, "services"},
		{write("/etc/ssh/sshd_config", 0o644), policy.Danger, "SSH"},
		{write("/home/ops/.ssh/authorized_keys", 0o600), policy.Danger, "log in"},
		{write("/srv/deep/er/.ssh/config", 0o600), policy.Danger, "log in"},
		{write("/home/ops/.bashrc", 0o644), policy.Danger, "shell"},
		{write("/etc/ld.so.preload", 0o644), policy.Danger, "loads"},
		{write("/etc/pam.d/sshd", 0o644), policy.Danger, "logins"},
		{write("/usr/local/bin/x", 0o755), policy.Danger, "programs"},
		{write("/lib64/x.so", 0o644), policy.Danger, "libraries"},
		{write("/root/x", 0o644), policy.Danger, "root"},
		{write("/boot/grub/grub.cfg", 0o644), policy.Danger, "boots"},
		{write("/srv/repo/.git/hooks/post-merge", 0o755), policy.Danger, "git"},
		{write("/srv/suid", 0o4755), policy.Danger, "owner's rights"},
		{write("/srv/sgid", 0o2755), policy.Danger, "owner's rights"},
		{write("/srv/open", 0o666), policy.Danger, "everybody"},
		{write("/srv/a\u202eb", 0o644), policy.Unknown, "characters"},
		{write("/srv/a\xff", 0o644), policy.Unknown, "characters"},
		{write("/srv/etc/passwd", 0o644), policy.Safe, "new"},
		{write("/srv/usr", 0o644), policy.Safe, "new"},
		{write("/library/x", 0o644), policy.Danger, "libraries"}, // "/lib*" rather asks too much than too little
		{File{Op: targets.Symlink, Path: "/srv/l", To: "/etc/shadow", Perms: true, Mode: 0o777}, policy.Danger, "passwords"},
		{File{Op: targets.Symlink, Path: "/srv/l", To: "../etc/shadow", Perms: true, Mode: 0o777}, policy.Danger, "passwords"},
		{File{Op: targets.Symlink, Path: "/srv/l", To: "data", Perms: true, Mode: 0o777}, policy.Caution, "another file"},
		{File{Op: targets.Rename, Path: "/srv/a", To: "/etc/cron.daily/a"}, policy.Danger, "scheduled"},
		{File{Op: targets.Rename, Path: "/srv/a", To: "/srv/b"}, policy.Caution, "another name"},
		{File{Op: targets.Delete, Path: "/srv/a"}, policy.Caution, "removed"},
		{File{Op: targets.Delete, Path: "/etc/shadow"}, policy.Danger, "passwords"},
		{File{Op: targets.Mkdir, Path: "/srv/d", Perms: true, Mode: 0o755}, policy.Safe, "new"},
		{File{Op: targets.Mkdir, Path: "/srv/d", Perms: true, Mode: 0o777}, policy.Danger, "everybody"},
		{File{Op: targets.Mkdir, Path: "/srv/d", Perms: true, Mode: 0o1777}, policy.Safe, "new"},
		{File{Op: targets.Chmod, Path: "/srv/a", Perms: true, Mode: 0o4755}, policy.Danger, "owner's rights"},
		{File{Op: targets.Chown, Path: "/srv/a", Perms: true, Mode: 0o644}, policy.Caution, "who may"},
		{File{Op: targets.Touch, Path: "/srv/a"}, policy.Safe, "time"},
	} {
		d := judgeFile(&tt.f)
		if d.Verdict != policy.Ask || d.Risk != tt.risk || !strings.Contains(d.Reason, tt.word) {
			t.Errorf("%s %q: %s, %s, %q; want %s and %q", tt.f.Op, tt.f.Path, d.Verdict, d.Risk, d.Reason, tt.risk, tt.word)
		}
	}
	large := write("/srv/large", 0o644)
	large.Size = largeWrite + 1
	if d := judgeFile(&large); d.Risk != policy.Caution || !strings.Contains(d.Reason, "large: 5.0 MiB") {
		t.Errorf("a large write: %+v", d)
	}
}

func TestPathsInWords(t *testing.T) {
	for word, want := range map[string]string{
		"/tmp/a":                        "/tmp/a /tmp/a",
		"--file=/tmp/a":                 "/tmp/a",
		"cat /tmp/a >/tmp/b;ls /tmp/c|": "/tmp/a /tmp/b /tmp/c",
		`cat "/tmp/a b"`:                "/tmp/a",
		"for f in /tmp/d/*.log; do":     "/tmp/d/ /tmp/d/",
		"cat /tmp/d/$x":                 "/tmp/d/ /tmp/d/",
		"a/b":                           "",
		"http://x/tmp/a":                "//x/tmp/a", // no path of scratch is named so
		"x:/tmp/a:/tmp/b":               "/tmp/a /tmp/b",
		"$(cat /tmp/a)":                 "/tmp/a",
		"@/tmp/a":                       "/tmp/a",
		"open('/tmp/a')":                "/tmp/ /tmp/a",
	} {
		if got := strings.Join(pathsIn(word), " "); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func FuzzPathsIn(f *testing.F) {
	f.Add("cat /tmp/a > /tmp/b")
	f.Fuzz(func(t *testing.T, word string) {
		for _, p := range pathsIn(word) {
			if !strings.HasPrefix(p, "/") {
				t.Errorf("%q names %q", word, p)
			}
		}
	})
}
