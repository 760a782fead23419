package tasks

import "testing"

func TestSmallestBoundCounts(t *testing.T) {
	files := map[string]string{
		"/proc/sys/kernel/threads-max": "190000\n", "/proc/sys/kernel/pid_max": "4194304\n",
		"/proc/self/cgroup":                                    "8:pids:/old/one\n1:cpu:/fast\n0::/system.slice/gateway.service\n",
		"/sys/fs/cgroup/pids/old/one/pids.max":                 "9000\n",
		"/sys/fs/cgroup/system.slice/gateway.service/pids.max": "max\n",
		"/sys/fs/cgroup/fast/pids.max":                         "1\n",
	}
	check := func(limit int64, want int) {
		t.Helper()
		if got := bound(limit, func(name string) string { return files[name] }); got != want {
			t.Errorf("%d, not %d", got, want)
		}
	}
	check(1<<40, 9000)
	check(4096, 4096)
	files["/sys/fs/cgroup/system.slice/pids.max"] = "1100\n"
	check(4096, 1100)
	delete(files, "/proc/self/cgroup")
	check(1<<40, 190000)
	files = nil
	check(1<<40, 1<<31-1)
	if Most() <= 0 {
		t.Error("this machine leaves nothing")
	}
}

func TestCommandsLeaveOthersThreadsAndFiles(t *testing.T) {
	for _, c := range []struct{ most, files, all, one int }{
		{96_000, 1 << 20, 24_000, 256}, {4915, 1 << 19, 1228, 256}, {300, 1 << 20, 75, 25}, {96_000, 1024, 42, 14}, {96_000, 4096, 170, 56}, {10, 10, 16, 5},
	} {
		if all := ofAll(c.most, c.files); all != c.all || ofSession(all) != c.one {
			t.Errorf("of %d threads and %d files all commands have %d, those of a session %d", c.most, c.files, all, ofSession(all))
		}
	}
}
