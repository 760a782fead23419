//go:build linux && (amd64 || arm64)

package native

import (
	"embed"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Each file runs a program of a Debian package; its first lines name the package, and a file that only the package brings.
// .ci/programs installs them.
//
//go:embed testdata/programs
var programs embed.FS

// TestProgramsOfDebianEndAsWithoutASandbox compares what they print and how they end with the same interpreter without a sandbox,
// as far as their packages are there.
func TestProgramsOfDebianEndAsWithoutASandbox(t *testing.T) {
	const dir = "testdata/programs"
	entries, err := programs.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	needs := regexp.MustCompile(`(?m)^# needs: (.*)$`)
	for _, e := range entries {
		t.Run(strings.TrimSuffix(e.Name(), ".py"), func(t *testing.T) {
			text, err := programs.ReadFile(dir + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			file := needs.FindSubmatch(text)
			if file == nil {
				t.Fatal("it does not say which file it needs")
			}
			if _, err := os.Stat(string(file[1])); err != nil {
				t.Skip("its package is not installed: .ci/programs does that")
			}
			want := bareIn(t, "/", string(text))
			job, stdout, stderr := jobFor(t, string(text))
			job.Host.UID, job.Host.GID = uint32(os.Getuid()), uint32(os.Getgid()) // #nosec G115 -- ids
			job.Host.Version = "#1 SMP"                                           // which one of them takes apart
			result := runJob(t, job)
			if result.ExitCode != 0 {
				t.Errorf("it ended with %+v: %s", result, tail(stderr.String()))
			}
			sameLines(t, "in the sandbox", stdout.String(), want)
		})
	}
}
