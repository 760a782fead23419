package change

import (
	"strings"
	"syscall"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

func TestFileRisk(t *testing.T) {
	write := func(path string, mode uint32) journal.File {
		return journal.File{Op: journal.Write, Path: journal.Exact(path), Perms: true, Mode: mode}
	}
	over := func(f journal.File) journal.File { f.Was = &journal.FileState{Mode: syscall.S_IFREG | 0o644}; return f }
	for _, tt := range []struct {
		f    journal.File
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
		{journal.File{Op: journal.Symlink, Path: "/srv/l", To: "/etc/shadow", Perms: true, Mode: 0o777}, policy.Danger, "passwords"},
		{journal.File{Op: journal.Symlink, Path: "/srv/l", To: "../etc/shadow", Perms: true, Mode: 0o777}, policy.Danger, "passwords"},
		{journal.File{Op: journal.Symlink, Path: "/srv/l", To: "data", Perms: true, Mode: 0o777}, policy.Caution, "another file"},
		{journal.File{Op: journal.Rename, Path: "/srv/a", To: "/etc/cron.daily/a"}, policy.Danger, "scheduled"},
		{journal.File{Op: journal.Rename, Path: "/srv/a", To: "/srv/b"}, policy.Caution, "another name"},
		{journal.File{Op: journal.Delete, Path: "/srv/a"}, policy.Caution, "removed"},
		{journal.File{Op: journal.Delete, Path: "/etc/shadow"}, policy.Danger, "passwords"},
		{journal.File{Op: journal.Mkdir, Path: "/srv/d", Perms: true, Mode: 0o755}, policy.Safe, "new"},
		{journal.File{Op: journal.Mkdir, Path: "/srv/d", Perms: true, Mode: 0o777}, policy.Danger, "everybody"},
		{journal.File{Op: journal.Mkdir, Path: "/srv/d", Perms: true, Mode: 0o1777}, policy.Safe, "new"},
		{journal.File{Op: journal.Chmod, Path: "/srv/a", Perms: true, Mode: 0o4755}, policy.Danger, "owner's rights"},
		{journal.File{Op: journal.Chown, Path: "/srv/a", Perms: true, Mode: 0o644}, policy.Caution, "who may"},
		{journal.File{Op: journal.Touch, Path: "/srv/a"}, policy.Safe, "time"},
	} {
		d := Judge(&tt.f)
		if d.Verdict != policy.Ask || d.Risk != tt.risk || !strings.Contains(d.Reason, tt.word) {
			t.Errorf("%s %q: %s, %s, %q; want %s and %q", tt.f.Op, tt.f.Path, d.Verdict, d.Risk, d.Reason, tt.risk, tt.word)
		}
	}
	large := write("/srv/large", 0o644)
	large.Size = journal.LargeWrite + 1
	if d := Judge(&large); d.Risk != policy.Caution || !strings.Contains(d.Reason, "large: 5.0 MiB") {
		t.Errorf("a large write: %+v", d)
	}
}
