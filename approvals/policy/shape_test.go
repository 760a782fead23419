package policy_test

import (
	"slices"
	"strings"
	"testing"

	"shannot-gateway/approvals/policy"
)

func TestVaried(t *testing.T) {
	for _, c := range []struct {
		file, argv0 string
		links       []string
		want        string // a part of why not, "" where words may vary
	}{
		{"/usr/bin/touch", "touch", nil, ""},
		{"/bin/systemctl", "/bin/systemctl", nil, ""},
		{"/usr/bin/touch", "touch", []string{"/usr/bin/coreutils"}, ""}, // which goes by argv[0]
		{"/bin/touch", "touch", []string{"/bin/busybox"}, ""},

		// Programs that run others, by other names, and by what the name is a link to.
		{"/usr/bin/python3.11", "python3.11", nil, "python3.11 runs what is in its words"},
		{"/usr/bin/perl5.36.0", "perl5.36.0", nil, "runs what is in its words"},
		{"/usr/bin/gawk-5.1", "gawk-5.1", nil, "runs what is in its words"},
		{"/usr/bin/lua5.4", "lua5.4", nil, "runs what is in its words"},
		{"/usr/bin/php8.3", "php8.3", nil, "runs what is in its words"},
		{"/usr/bin/x86_64-linux-gnu-gdb", "gdb", nil, "runs what is in its words"},
		{"/usr/bin/vim.basic", "vim.basic", nil, "runs what is in its words"},
		{"/usr/bin/prlimit", "prlimit", nil, "runs what is in its words"},
		{"/usr/bin/choom", "choom", nil, "runs what is in its words"},
		{"/usr/sbin/ip", "ip", nil, "runs what is in its words"},
		{"/bin/busybox", "busybox", nil, "runs what is in its words"},
		{"/bin/busybox", "touch", nil, "runs what is in its words"},
		{"/usr/bin/env", "env", nil, "runs what is in its words"},
		{"/usr/bin/xargs", "xargs", nil, "runs what is in its words"},
		{"/usr/bin/nsenter", "nsenter", nil, "runs what is in its words"},
		{"/lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2", nil, "never runs"},
		{"/usr/bin/tool", "tool", nil, "does not know that tool"},
		{"/opt/venv/bin/snake", "snake", nil, "does not know that snake"},
		{"/tmp/x/touch", "touch", nil, "may be any program"},
		{"/usr/bin/../../tmp/touch", "touch", nil, "may be any program"},
		{"/usr/bin/touch", "python3", nil, "is told to be python3"},
		{"/usr/local/bin/touch", "touch", []string{"/usr/bin/python3"}, "is a link to /usr/bin/python3"},
		{"/usr/local/bin/touch", "touch", []string{"/etc/alternatives/touch", "/usr/bin/perl5.36"}, "is a link to /usr/bin/perl5.36"},
		{"/usr/bin/\x1b[2Jx", "x", nil, "\\x1b"},
		{"", "", nil, "runs what is in its words"},
	} {
		got := policy.Varied(c.file, c.argv0, c.links...)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "\x1b") {
			t.Errorf("%s as %s, links %q: %q, want %q", c.file, c.argv0, c.links, got, c.want)
		}
	}
}

func TestPlainWords(t *testing.T) {
	for text, want := range map[string][]string{
		"touch /srv/a":           {"touch", "/srv/a"},
		"  touch\t --x=1  b ":    {"touch", "--x=1", "b"},
		"":                       nil,
		"X=1 touch a":            nil,
		"touch a; rm b":          nil,
		"touch a\nrm b":          nil,
		"touch a\rb":             nil,
		"touch $a":               nil,
		"touch a*":               nil,
		"touch ~":                nil,
		"touch a~":               nil,
		"touch {a,b}":            nil,
		"touch 'a'":              nil,
		"touch \\a":              nil,
		"touch `a`":              nil,
		"touch a # b":            nil,
		"touch =a":               nil,
		"touch a > b":            nil,
		"touch a & b":            nil,
		"touch !a":               nil,
		"touch ^a":               nil,
		"touch é":                nil,
		"touch a\x00":            nil,
		"touch a\u00a0b":         nil,
		strings.Repeat("x", 5e3): nil,
	} {
		if got := policy.PlainWords(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWordsThatNameWhatAProgramRuns(t *testing.T) {
	for line, refused := range map[string]bool{
		"iptables --modprobe=/opt/x -L":            true,
		"iptables -M /opt/x -L":                    true,
		"iptables -A INPUT -s 10.0.0.1 -j DROP":    false,
		"apt-mark -o Dir::Bin::dpkg=/opt/x hold y": true,
		"apt-mark --config-file=/opt/x hold y":     true,
		"apt-mark hold y":                          false,
		"mysqldump --plugin-dir=/opt/x a":          true,
		"mysqldump a":                              false,
		"userdel -R /opt/x a":                      true,
		"userdel a":                                false,
		"zfs program pool /opt/x":                  true,
		"zfs destroy program-data":                 false,
		"systemctl restart nginx":                  false,
	} {
		words := strings.Fields(line)
		if why := policy.VariedWords("/usr/sbin/"+words[0], words[1:]); (why != "") != refused {
			t.Errorf("%s: %q", line, why)
		}
	}
}
