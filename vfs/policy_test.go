package vfs_test

import (
	"strings"
	"testing"

	"shannot-gateway/vfs"
)

func TestPolicyJudgesPaths(t *testing.T) {
	p, err := vfs.NewPolicy(
		[]string{"/etc", "/var/log/", "/home/*/public", "/srv/**/www", "/opt/a*c/x"},
		[]string{"/etc/shadow", "**/.ssh/id_*", "/etc/ssl/private", "/var/log/**/secret", "/etc/*.key"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]vfs.Verdict{
		"/":                                vfs.Ancestor,
		"/etc":                             vfs.Visible,
		"/etc/passwd":                      vfs.Visible,
		"/etc/shadow":                      vfs.Hidden,
		"/etc/shadow-":                     vfs.Visible,
		"/etc/shadow/x":                    vfs.Hidden,
		"/etc/x.key":                       vfs.Hidden,
		"/etc/.key":                        vfs.Hidden,
		"/etc/d/x.key":                     vfs.Visible,
		"/etc/ssl":                         vfs.Visible,
		"/etc/ssl/private":                 vfs.Hidden,
		"/etc/ssl/private/a/b":             vfs.Hidden,
		"/etcetera":                        vfs.Hidden,
		"/var":                             vfs.Ancestor,
		"/var/lib":                         vfs.Hidden,
		"/var/log":                         vfs.Visible,
		"/var/log/secret":                  vfs.Hidden,
		"/var/log/a/b/secret":              vfs.Hidden,
		"/var/log/a/b/secrets":             vfs.Visible,
		"/home":                            vfs.Ancestor,
		"/home/u":                          vfs.Ancestor,
		"/home/u/mail":                     vfs.Hidden,
		"/home/u/public":                   vfs.Visible,
		"/home/u/public/.ssh":              vfs.Visible,
		"/home/u/public/x/.ssh/id_rsa":     vfs.Hidden,
		"/home/u/public/x/.ssh/id_rsa.pub": vfs.Hidden,
		"/home/u/public/x/.ssh/config":     vfs.Visible,
		"/srv":                             vfs.Ancestor,
		"/srv/www":                         vfs.Visible,
		"/srv/a/b":                         vfs.Ancestor,
		"/srv/a/b/www":                     vfs.Visible,
		"/opt/abc/x":                       vfs.Visible,
		"/opt/ac/x/y":                      vfs.Visible,
		"/opt/ab/x":                        vfs.Hidden,
	} {
		if got := p.Decide(name); got != want {
			t.Errorf("Decide(%s) = %d, want %d", name, got, want)
		}
	}
}

func TestPolicyRefusesPatternsThatCannotMatch(t *testing.T) {
	for _, pattern := range []string{
		"", "etc", "~/x", "/a/../b", "/a/./b", "/a**", "/a/x**y", "/a\x00", "*", "**", "./x",
	} {
		if _, err := vfs.NewPolicy([]string{pattern}, nil); err == nil {
			t.Errorf("read pattern %q was taken", pattern)
		}
	}
	for _, pattern := range []string{"/", "/**", "//"} {
		if _, err := vfs.NewPolicy(nil, []string{pattern}); err == nil {
			t.Errorf("hide pattern %q was taken", pattern)
		}
	}
}

func TestDefaultsHideSecretsAndShowTheRest(t *testing.T) {
	p, err := vfs.NewPolicy(vfs.DefaultRead(), vfs.DefaultHide())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]vfs.Verdict{
		"/etc/passwd": vfs.Visible, "/etc/ssh/sshd_config": vfs.Visible, "/etc/ssh/ssh_host_rsa_key.pub": vfs.Visible,
		"/proc/meminfo": vfs.Visible, "/proc/1/status": vfs.Visible, "/proc/1/cmdline": vfs.Visible,
		"/proc/1/task/1/stat": vfs.Visible, "/sys/class/net": vfs.Visible, "/home/u/.bashrc": vfs.Visible,
		"/usr/bin/python3": vfs.Visible, "/bin": vfs.Visible, "/lib64": vfs.Visible, "/var/log/syslog": vfs.Visible,
		"/root": vfs.Visible, "/opt/shopd": vfs.Visible, "/boot": vfs.Visible, "/var/lib": vfs.Visible, "/srv/app/.env": vfs.Hidden,
		"/root/.ssh/id_rsa": vfs.Hidden, "/run/credentials/x": vfs.Hidden, "/var/lib/private/x": vfs.Hidden, "/swapfile": vfs.Hidden,
		"/etc/shadow": vfs.Hidden, "/etc/gshadow": vfs.Hidden, "/etc/ssh/ssh_host_rsa_key": vfs.Hidden,
		"/home/u/.ssh/id_ed25519": vfs.Hidden, "/home/u/.aws/credentials": vfs.Hidden, "/home/u/.netrc": vfs.Hidden,
		"/home/u/.bash_history": vfs.Hidden, "/home/u/.python_history": vfs.Hidden, "/home/u/x/.kube/config": vfs.Hidden,
		"/proc/1/environ": vfs.Hidden, "/proc/1/task/2/environ": vfs.Hidden, "/proc/1/mem": vfs.Hidden,
		"/proc/1/task/2/mem": vfs.Hidden, "/proc/kcore": vfs.Hidden, "/proc/kmsg": vfs.Hidden,
		"/proc/1/fd/3": vfs.Hidden, "/sys/kernel/debug/x": vfs.Hidden, "/sys/kernel/tracing/trace_pipe": vfs.Hidden,
	} {
		if got := p.Decide(name); got != want {
			t.Errorf("Decide(%s) = %d, want %d", name, got, want)
		}
	}
}

// covers is the plainest matcher: does the pattern match the whole of some prefix of the path?
func covers(pattern, name []string) bool {
	if len(pattern) == 0 {
		return true
	}
	if pattern[0] == "**" {
		return covers(pattern[1:], name) || len(name) > 0 && covers(pattern, name[1:])
	}
	return len(name) > 0 && glob(pattern[0], name[0]) && covers(pattern[1:], name[1:])
}

func glob(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] == '*' {
		return glob(pattern[1:], name) || name != "" && glob(pattern, name[1:])
	}
	return name != "" && name[0] == pattern[0] && glob(pattern[1:], name[1:])
}

func split(p string) (out []string) {
	for _, c := range strings.Split(p, "/") {
		if c != "" {
			out = append(out, c)
		}
	}
	return out
}

func FuzzPolicyAgreesWithAPlainMatcher(f *testing.F) {
	f.Add("/a/**/b*", "**/c*d/*", "/a/x/bb/ccd/e")
	f.Add("/a/*/b", "/**/x/**", "/a/x/b")
	f.Add("/", "/a*b*c", "/aabbc")
	f.Add("/**/a/**/a/**/b", "/a/a", "/a/b/a/c/b")
	f.Fuzz(func(t *testing.T, read, hide, name string) {
		if len(read)+len(hide)+len(name) > 80 || strings.Count(read+hide, "*") > 10 {
			t.Skip() // the plain matcher is exponential
		}
		p, err := vfs.NewPolicy([]string{read}, []string{hide})
		if err != nil || !strings.HasPrefix(name, "/") {
			t.Skip()
		}
		got, parts := p.Decide(name), split(name)
		visible := covers(split(read), parts) && !covers(split(hide), parts)
		if (got == vfs.Visible) != visible {
			t.Errorf("read %q, hide %q: Decide(%q) = %d, visible %v", read, hide, name, got, visible)
		}
		if got != vfs.Hidden && covers(split(hide), parts) {
			t.Errorf("hide %q: Decide(%q) = %d", hide, name, got)
		}
	})
}
