package gateway

import (
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/pypy"
	"shannot-gateway/sandbox/pypy/pypytest"
)

// A session ends with its lifetime, whatever it does and whoever it waits for.
func TestLifetimeEndsASessionWhateverItWaitsFor(t *testing.T) {
	t.Parallel()
	engines := []sandbox.Engine{}
	if pypytest.Missing() == "" {
		dir := t.TempDir()
		if err := pypytest.Build("../sandbox/pypy/testdata", dir); err != nil {
			t.Fatal(err)
		}
		engine := pypy.New(pypy.Options{Executable: filepath.Join(dir, "pypy3-c"), Library: dir})
		t.Cleanup(func() { _ = engine.Close() })
		engines = append(engines, engine)
	}
	r := startAltered(t, "[limits]\nlifetime = \"3s\"\nwall = \"1h\"\nhold = \"1h\"\nsessions_per_identity = 0\n", nil, func(o *Options) {
		o.Judge, o.Engines = permissive{}, engines
	})
	held := "run -c " + quote("import subprocess; subprocess.run(['env', 'held'])")
	lines := map[string]string{
		"a script that is held":       held,
		"a script that sleeps":        "run -c " + quote("import time; time.sleep(600)"),
		"a command line that is held": "exec -- env held",
		"a command line that runs":    "exec -- sleep 600",
		"a command of a script":       "run -c " + quote("import subprocess; subprocess.run(['sleep', '600'])"),
	}
	if len(engines) > 0 {
		lines["a script that is held, in the other engine"] = strings.Replace(held, "run", "run --engine pypy", 1)
	}
	for name, line := range lines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, status := output(t, r.as(r.agent), line, "")
			if status != 124 || !strings.Contains(stderr, "limits.lifetime") {
				t.Errorf("status %d: %s", status, stderr)
			}
		})
	}
	t.Run("on a host over SSH", func(t *testing.T) {
		t.Parallel()
		r, _ := remoteGatewayWith(t, "lifetime = \"3s\"\n")
		for _, line := range []string{held, "exec -- sleep 25"} {
			if _, stderr, status := output(t, r.as(r.agent), line, ""); status != 124 || !strings.Contains(stderr, "limits.lifetime") {
				t.Errorf("%s: status %d: %s", line, status, stderr)
			}
		}
	})
}

// A command line that waits for nobody ends with limits.wall; the time that it is held does not count.
func TestWallTimeOfACommandLine(t *testing.T) {
	t.Parallel()
	r := startAltered(t, "[limits]\nwall = \"1s\"\nlifetime = \"4s\"\n", nil, func(o *Options) { o.Judge = permissive{} })
	for line, want := range map[string]string{"exec -- sleep 600": "limits.wall", "exec -- env held": "limits.lifetime"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if _, stderr, status := output(t, r.as(r.agent), line, ""); status != 124 || !strings.Contains(stderr, want) {
				t.Errorf("%s: status %d: %s", line, status, stderr)
			}
		})
	}
}
