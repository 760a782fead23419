//go:build linux && (amd64 || arm64)

package native

import "testing"

// What a script is told of its processors, and where its threads run, does not depend on the file that it just opened.
func TestScriptMayRunWhereverItMightWhileItOpensFiles(t *testing.T) {
	const script = `
import os, threading
def told(): seen.add(frozenset(os.sched_getaffinity(0)))
seen = set()
for n in range(3000):
    fd = os.open("/etc/passwd", os.O_RDONLY)
    told()
    if n % 300 == 0:
        thread = threading.Thread(target=told)
        thread.start()
        thread.join()
    os.close(fd)
print([sorted(s) for s in seen])`
	want, _ := bare(t, script)
	if got := runScript(t, script); got.stdout != want {
		t.Errorf("%+v ran on %s, without a sandbox on %s %s", got.result, got.stdout, want, got.stderr)
	}
}
