//go:build linux && (amd64 || arm64)

package shell

import (
	"os/exec"
	"testing"
)

// benchTexts are what BenchmarkTexts runs.
var benchTexts = []struct{ name, text string }{
	{"start", `:`},
	{"numbers", `i=0; while ((i<20000)); do ((i++)); done`},
	{"starts", `for i in {1..200}; do /bin/true; done`},
	{"pipeline", `head -c 268435456 /dev/zero | cat | wc -c`},
	{"lines", `n=0; while read -r l; do n=$((n+1)); done < <(seq 2000)`},
}

// BenchmarkTexts runs each text in the sandbox and in bash.
func BenchmarkTexts(b *testing.B) {
	bash := theBash(b)
	for _, c := range benchTexts {
		b.Run(c.name+"/sandbox", func(b *testing.B) {
			runJob(b, nil, "-c", c.text)
			for b.Loop() {
				if got := runJob(b, nil, "-c", c.text); got.ExitCode != 0 {
					b.Fatalf("%+v %s", got.Result, got.stderr)
				}
			}
		})
		b.Run(c.name+"/bash", func(b *testing.B) {
			for b.Loop() {
				if out, err := exec.CommandContext(b.Context(), bash, "-c", c.text).CombinedOutput(); err != nil { // #nosec G204 -- the test's
					b.Fatalf("%v: %s", err, out)
				}
			}
		})
	}
}
