package change

import (
	"fmt"
	"path"
	"strings"
	"syscall"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// place is a row of the table of paths: a pattern and what stands there.
type place struct {
	pattern string // "/dir" covers what is below it; "*" in a component as path.Match; "**/name" anywhere
	what    string
}

// dangerous are the places by which somebody who writes there gets more rights, comes back, or breaks the machine.
// The first that matches names the reason.
var dangerous = []place{
	{"/etc/passwd*", "user accounts"}, {"/etc/shadow*", "passwords"}, {"/etc/group*", "groups"}, {"/etc/gshadow*", "groups"},
	{"/etc/sub[ug]id*", "user accounts"}, {"/etc/sudoers*", "sudo's rights"}, {"/etc/sudo*.conf", "sudo"}, {"/etc/doas.conf", "doas's rights"},
	{"/etc/polkit-1", "rights"}, {"/etc/pam.d", "logins"}, {"/etc/pam.conf", "logins"}, {"/etc/security", "logins"},
	{"/etc/login.defs", "logins"}, {"/etc/shells", "logins"}, {"/etc/nsswitch.conf", "how users are looked up"},
	{"/etc/ssh", "the SSH server"}, {"/etc/cron*", "scheduled commands"}, {"/etc/anacrontab", "scheduled commands"},
	{"/etc/at.*", "scheduled commands"}, {"/var/spool/cron", "scheduled commands"}, {"/var/spool/at", "scheduled commands"},
	{"/etc/systemd", "services"}, {"/run/systemd", "services"}, {"/etc/init.d", "services"}, {"/etc/init", "services"},
	{"/etc/rc*", "services"}, {"/etc/inittab", "services"}, {"/etc/xinetd*", "services"}, {"/etc/inetd*", "services"},
	{"/etc/dbus-1", "services"}, {"/etc/default", "how services start"}, {"/etc/sysconfig", "how services start"},
	{"/etc/profile*", "every user's shell"}, {"/etc/bash*", "every user's shell"}, {"/etc/zsh*", "every user's shell"},
	{"/etc/environment*", "every user's environment"}, {"/etc/skel", "new users"}, {"/etc/X11", "every user's desktop"},
	{"/etc/xdg", "every user's desktop"}, {"/etc/ld.so*", "what every program loads"},
	{"/etc/hosts.allow", "who may connect"}, {"/etc/hosts.deny", "who may connect"}, {"/etc/hosts.equiv", "who may connect"},
	{"/etc/nftables*", "the firewall"}, {"/etc/iptables", "the firewall"}, {"/etc/ufw", "the firewall"}, {"/etc/firewalld", "the firewall"},
	{"/etc/NetworkManager", "the network"}, {"/etc/network", "the network"}, {"/etc/netplan", "the network"},
	{"/etc/fstab", "what is mounted"}, {"/etc/crypttab", "what is mounted"}, {"/etc/exports*", "what is shared"},
	{"/etc/modprobe*", "kernel modules"}, {"/etc/modules*", "kernel modules"}, {"/etc/sysctl*", "the kernel"},
	{"/etc/udev", "devices"}, {"/etc/grub*", "how the machine boots"}, {"/etc/kernel", "how the machine boots"},
	{"/etc/apt", "where software comes from"}, {"/etc/yum*", "where software comes from"}, {"/etc/dnf", "where software comes from"},
	{"/etc/ssl", "whom the machine trusts"}, {"/etc/pki", "whom the machine trusts"}, {"/etc/ca-certificates*", "whom the machine trusts"},
	{"/etc/krb5*", "logins"}, {"/etc/sssd", "logins"}, {"/etc/selinux", "what programs may do"}, {"/etc/apparmor*", "what programs may do"},
	{"/etc/audit*", "the system's audit"}, {"/etc/rsyslog*", "the system's log"}, {"/etc/logrotate*", "scheduled commands"},
	{"/etc/update-motd.d", "every login"}, {"/etc/alternatives", "which programs run"}, {"/etc/docker", "containers"},
	{"/etc/kubernetes", "the cluster"}, {"/etc/shannot-gateway", "this gateway"},
	{"/boot", "how the machine boots"}, {"/bin", "programs"}, {"/sbin", "programs"}, {"/lib*", "libraries"}, {"/usr", "programs and libraries"},
	{"/root", "root's home"}, {"/proc", "the kernel"}, {"/sys", "the kernel"}, {"/dev", "devices"},
	{"/var/lib/dpkg", "installed software"}, {"/var/lib/rpm", "installed software"}, {"/var/lib/apt", "installed software"},
	{"/var/lib/systemd", "services"}, {"/var/lib/docker", "containers"}, {"/var/lib/kubelet", "the cluster"},
	{"**/.ssh", "who may log in"}, {"**/authorized_keys*", "who may log in"}, {"**/.rhosts", "who may log in"}, {"**/.shosts", "who may log in"},
	{"**/.gnupg", "keys"}, {"**/.aws", "credentials"}, {"**/.kube", "credentials"}, {"**/.docker", "credentials"}, {"**/.netrc", "credentials"},
	{"**/.bash*", "a user's shell"}, {"**/.profile", "a user's shell"}, {"**/.zsh*", "a user's shell"}, {"**/.zlog*", "a user's shell"},
	{"**/.zprofile", "a user's shell"}, {"**/.login", "a user's shell"}, {"**/.cshrc", "a user's shell"}, {"**/.pam_environment", "a user's logins"},
	{"**/.config/systemd", "a user's services"}, {"**/.config/autostart", "a user's desktop"}, {"**/.local/bin", "a user's programs"},
	{"**/.forward", "a command for mail"}, {"**/.procmailrc", "a command for mail"}, {"**/.vimrc", "commands of an editor"},
	{"**/.gitconfig", "commands of git"}, {"**/.git/hooks", "commands of git"}, {"**/.git/config", "commands of git"},
}

// in reports whether a path is at or below the place.
func (p place) in(name string) bool {
	pattern, anywhere := strings.CutPrefix(p.pattern, "**/")
	want := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	have := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for start := 0; start+len(want) <= len(have); start++ {
		matched := true
		for i, w := range want {
			if ok, err := path.Match(w, have[start+i]); !ok || err != nil {
				matched = false
				break
			}
		}
		if matched {
			return true
		}
		if !anywhere {
			return false
		}
	}
	return false
}

// Judge says how much harm a change may do, and why. No change is made without a human: the verdict is ask, or
// deny where there is nothing to ask.
func Judge(f *journal.File) policy.Decision {
	d := policy.Decision{Verdict: policy.Ask}
	d.Risk, d.Reason = fileRisk(f)
	if f.Op == journal.Write && f.Size > journal.LargeWrite {
		d.Reason += fmt.Sprintf("; it is large: %.1f MiB", float64(f.Size)/(1<<20))
		if d.Risk == policy.Safe {
			d.Risk = policy.Caution
		}
	}
	if f.Lost != "" {
		d.Reason += "; it cannot be rolled back: " + f.Lost
	}
	return d
}

func fileRisk(f *journal.File) (policy.Risk, string) {
	paths := []string{string(f.Path)}
	switch f.Op {
	case journal.Rename:
		paths = append(paths, string(f.To))
	case journal.Symlink:
		to := string(f.To)
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(string(f.Path)), to)
		}
		paths = append(paths, path.Clean(to))
	default: // nothing of the kind for the others
	}
	for _, name := range paths {
		for _, p := range dangerous {
			if p.in(name) {
				return policy.Danger, render.Line(name).String() + " is of " + p.what
			}
		}
	}
	if f.Perms && f.Op != journal.Symlink { // a link's own mode means nothing
		switch {
		case f.Mode&0o6000 != 0 && f.Op != journal.Mkdir:
			return policy.Danger, "whoever runs it gets its owner's rights (set-user-ID or set-group-ID)"
		case f.Mode&0o002 != 0 && f.Mode&0o1000 == 0:
			return policy.Danger, "everybody may write it"
		}
	}
	for _, name := range paths {
		if render.Line(name).String() != name {
			return policy.Unknown, "the path holds characters that paths seldom hold"
		}
	}
	switch f.Op {
	case journal.Delete, journal.Rmdir:
		return policy.Caution, "something that exists is removed"
	case journal.Rename:
		return policy.Caution, "something that exists gets another name"
	case journal.Chmod, journal.Chown:
		return policy.Caution, "who may do what with it changes"
	case journal.Touch:
		return policy.Safe, "only a time changes"
	case journal.Symlink:
		return policy.Caution, "what opens the path gets another file"
	default: // nothing of the kind for the others
	}
	switch {
	case f.Was != nil:
		return policy.Caution, "something that exists is replaced"
	case f.Op == journal.Write && f.Mode&0o111 != 0:
		return policy.Caution, "it is a program"
	case strings.HasPrefix(string(f.Path), "/etc/"):
		return policy.Caution, "/etc configures the system"
	}
	return policy.Safe, "it is new, and nothing that exists changes"
}

// DeniedPath says why nobody is asked about a change of this path, whatever it is; "" where somebody is. The text is rendered.
func DeniedPath(name string, hidden func(string) bool) string {
	for _, kernel := range []string{"/proc", "/sys", "/dev"} {
		if name == kernel || strings.HasPrefix(name, kernel+"/") {
			return render.Line(name).String() + " is the kernel's; use a command for what is set there"
		}
	}
	if hidden != nil && hidden(name) {
		return "the read policy does not show " + render.Line(name).String() + ", so it cannot be changed either"
	}
	return ""
}

// denied says why a change is not even asked about, "" where it is.
func deniedChange(f *journal.File, hidden func(string) bool) string {
	names := []string{string(f.Path)}
	if f.Op == journal.Rename {
		names = append(names, string(f.To))
	}
	for _, name := range names {
		if why := DeniedPath(name, hidden); why != "" {
			return why
		}
	}
	if f.Was != nil {
		switch f.Was.Mode & syscall.S_IFMT {
		case syscall.S_IFREG, syscall.S_IFDIR, syscall.S_IFLNK:
		default:
			if f.Op != journal.Chmod && f.Op != journal.Chown && f.Op != journal.Delete {
				return render.Line(string(f.Path)).String() + " is a device, FIFO or socket"
			}
		}
	}
	return ""
}
