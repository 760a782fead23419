//go:build linux && (amd64 || arm64)

package native

import (
	"strings"
	"testing"

	"shannot-gateway/sandbox"
)

// Where others have most of the threads, a script gets few, is told so, and gives them back.
func TestThreadsOfAllSessionsLeaveTheGatewayItsOwn(t *testing.T) {
	e := warmEngine(t, 0)
	const others = 36
	e.tasks.most, e.tasks.used = 40, others
	for _, c := range []struct{ script, want string }{
		{"for _ in range(20):\n    t = threading.Thread(target=int); t.start(); t.join()\nprint('in turn')", "in turn\n"},
		{"n = 0\ntry:\n    while True: threading.Thread(target=threading.Event().wait, daemon=True).start(); n += 1\nexcept RuntimeError: print(n)", "3\n"},
		{"import subprocess, sys\nopen_ = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(3)]\n[t.start() for t in open_]\n" +
			"try: subprocess.run([sys.executable, '-c', ''])\nexcept BlockingIOError: print('no interpreter')", "no interpreter\n"},
	} {
		job, stdout, stderr := jobFor(t, "import threading\n"+c.script)
		result, err := e.Run(t.Context(), job)
		if err != nil || result.ExitCode != 0 || stdout.String() != c.want {
			t.Errorf("%s: %+v, %v: %s%s", c.script, result, err, stdout, stderr)
		}
		if e.tasks.used != others {
			t.Errorf("%d threads are counted when the session is over, not %d", e.tasks.used, others)
		}
	}
	job, _, _ := jobFor(t, "import threading\nwhile True: threading.Thread(target=threading.Event().wait, daemon=True).start()")
	result, err := e.Run(t.Context(), job)
	if err != nil || result.Cause != sandbox.Objects || !strings.Contains(result.Detail, threadsWord) {
		t.Errorf("%+v, %v", result, err)
	}
}

// Who has few gets some in any case, who has many not beyond a half.
func TestSharesOfThreads(t *testing.T) {
	share := taskShare{most: 640}
	var many, few, more int
	if !share.set(&many, 320) || share.set(&many, 321) {
		t.Errorf("one has %d of %d", many, share.most)
	}
	if !share.set(&few, 10) || share.set(&few, 11) || !share.set(&few, 3) || share.used != 323 {
		t.Errorf("another has %d, all have %d", few, share.used)
	}
	share.used = share.most
	if share.set(&more, 1) || !share.set(&many, 1) || !share.set(&more, 1) {
		t.Errorf("the last has %d", more)
	}
}
