//go:build linux && (amd64 || arm64)

package native

import (
	"testing"

	"shannot-gateway/sandbox/internal/conformance"
)

func conformingRun(t *testing.T, script string) conformance.Outcome {
	got := runScript(t, script)
	return conformance.Outcome{Stdout: got.stdout, Stderr: got.stderr, Result: got.result}
}

func TestFilesAsInEveryEngine(t *testing.T) {
	t.Parallel()
	conformance.Check(t, conformance.Files, conformingRun)
}

func TestCommandsAsInEveryEngine(t *testing.T) {
	t.Parallel()
	conformance.Check(t, conformance.Commands, conformingRun)
}

func TestThreadsAsInEveryEngine(t *testing.T) {
	t.Parallel()
	conformance.Check(t, conformance.Threads, conformingRun)
}
