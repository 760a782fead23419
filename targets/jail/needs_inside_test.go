package jail

import "testing"

// What a command gets to look into other processes, it must not have to walk through one's root past what is masked in its own.
func TestNoCommandLooksIntoProcessesThatMayWalkThroughThem(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want bool
	}{
		{[]string{"ss", "-tlnp"}, true},
		{[]string{"lsof", "-p", "1"}, true},
		{[]string{"sh", "-c", "ss -tlnp | grep :80 | awk '{print $4}'"}, true},
		{[]string{"cat", "/proc/1/io"}, true},
		{[]string{"sh", "-c", "cat /proc/1/smaps | head; ss"}, true},
		{[]string{"readlink", "/proc/1/exe"}, true},
		{[]string{"sh", "-c", "cat /proc/meminfo /proc/net/tcp; ss -p"}, true},
		{[]string{"grep", "-r", "x", "/proc/1/root/srv"}, false},
		{[]string{"grep", "-R", "x", "/proc/1"}, false},
		{[]string{"grep", "-R", "x", "/proc"}, false},
		{[]string{"grep", "-R", "x", "/proc/"}, false},
		{[]string{"cat", "/proc/1/cwd/x"}, false},
		{[]string{"grep", "-r", "x", "/proc/net/../1/root/srv"}, false},
		{[]string{"cat", "/proc/1/fd/3"}, false},
		{[]string{"cat", "/proc/1/task/1/root/x"}, false},
		{[]string{"cat", "/proc/../proc/1/root/x"}, false},
		{[]string{"sh", "-c", "ss; grep -r x /proc/1/root/srv"}, false},
		{[]string{"sh", "-c", "ss; cat /proc/[0-9]*/root/srv/x"}, false},
		{[]string{"sh", "-c", "ss; cat /pr*/1/r*/srv/x"}, false},
		{[]string{"sh", "-c", "ss; cd /; grep -r x pr''oc/1/ro''ot"}, false},
		{[]string{"sh", "-c", "ss; p=/pr; q=oc/1/ro; cat $p$q''ot/x"}, false},
		{[]string{"sh", "-c", "ss; grep -r x //proc//1//root"}, false},
		{[]string{"sh", "-c", "ss; grep -r x proc/1/root"}, false},
		{[]string{"sh", "-c", "ss; grep -r x /proc/net/../1/root"}, false},
	} {
		if n := NeedsOf(c.argv); n.Inside != c.want {
			t.Errorf("%q: %v", c.argv, n.Inside)
		}
	}
}
