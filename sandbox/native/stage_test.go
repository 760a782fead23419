//go:build linux && (amd64 || arm64)

package native

import (
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// Neither the handlers of the gateway's runtime, nor what it ignores or blocks, comes through to a script.
func TestScriptBeginsWithTheKernelsSignalHandling(t *testing.T) {
	const script = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('SigBlk', 'SigIgn', 'SigCgt'))])"
	// Python itself ignores SIGPIPE and SIGXFSZ, and catches SIGINT. A Python without a sandbox is no measure: it has what
	// these tests were started with, which under nohup(1) is more.
	const want = "['0000000000000000', '0000000001001000', '0000000000000002']\n"
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	got := runScript(t, script)
	if got.stdout != want {
		t.Errorf("blocked, ignored, caught: %s, want %s %s", got.stdout, want, got.stderr)
	}
}

// A child that the kernel gave no limit of its own has room below the address space that the gateway has reserved.
func TestLimitBelowTheGatewaysOwnMemoryHolds(t *testing.T) {
	job, stdout, stderr := jobFor(t, "import resource\nprint(resource.getrlimit(resource.RLIMIT_AS)[0])")
	job.Limits.Memory = 96 << 20
	if result := runJob(t, job); result.ExitCode != 0 || result.Cause != sandbox.Exited {
		t.Fatalf("%+v %s", result, stderr)
	}
	if got := strings.TrimSpace(stdout.String()); got != strconv.Itoa(96<<20) {
		t.Errorf("the limit is %s", got)
	}
}

// lookups records what is asked of a library and not there.
type lookups struct {
	vfs.Source
	mu     sync.Mutex
	absent []string
}

func (l *lookups) Lstat(name string) (vfs.Info, error) {
	info, err := l.Source.Lstat(name)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.absent = append(l.absent, name)
	}
	return info, err
}

func TestLoaderLooksForNoLibraryInVain(t *testing.T) {
	e := warmEngine(t, 0)
	in, _, err := e.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(in.load, "--preload") {
		t.Skip("this machine's loader cannot be told where libraries are")
	}
	seen := &lookups{Source: in.library}
	in.library = seen
	job, stdout, stderr := jobFor(t, "import ctypes, math, os\nprint(sorted(k for k in os.environ if k.startswith('LD_')))")
	if result, err := e.Run(t.Context(), job); err != nil || stdout.String() != "[]\n" {
		t.Fatalf("%+v, %v, %s%s", result, err, stdout, stderr)
	}
	for _, name := range seen.absent {
		if strings.HasPrefix(name, "/lib/") && !strings.HasPrefix(name, "/lib/python") {
			t.Errorf("looked for %s", name)
		}
	}
}
