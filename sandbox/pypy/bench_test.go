//go:build linux && (amd64 || arm64)

package pypy

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkCall is the driver and two pipes: a call without arguments, one that looks at a file, and one that opens, reads
// and closes it.
func BenchmarkCall(b *testing.B) {
	begun := func(b *testing.B) *double {
		c, _, _ := begin(b, nil)
		return c
	}
	b.Run("getuid", func(b *testing.B) {
		c := begun(b)
		for b.Loop() {
			c.call("getuid()i")
		}
	})
	b.Run("stat", func(b *testing.B) {
		c := begun(b)
		name, out := c.text("/etc/hostname"), c.room(144)
		for b.Loop() {
			c.call("stat64(pp)i", name, out)
		}
	})
	b.Run("open read close", func(b *testing.B) {
		c := begun(b)
		name, out := c.text("/etc/hostname"), c.room(8192)
		for b.Loop() {
			fd := uint64(c.call("open(pii)i", name, unix.O_RDONLY, 0))
			c.call("read(ipi)i", fd, out, 8192)
			c.call("close(i)i", fd)
		}
	})
}

// BenchmarkHello answers every call that a real executable made for a script of one line.
func BenchmarkHello(b *testing.B) {
	steps := readTrace(b, "testdata/traces/hello.txt")
	disk, target := worldOf(steps)
	l := newLibrary(disk, nil, time.Unix(1e9, 0))
	for b.Loop() {
		job, _, _ := unmountedJob(b, target)
		job.Dir, job.Env = "/tmp", nil
		if err := mount(job, l, time.Unix(1e9, 0)); err != nil {
			b.Fatal(err)
		}
		c := newDouble(b)
		c.start(b.Context(), job)
		r := &replay{double: c, file: "hello"}
		for _, s := range steps {
			c.used = 0
			for range s.repeat {
				r.play(s)
			}
		}
		c.finish(0)
		_ = job.FS.Close()
		_, _ = c.theirs[0].Close(), c.theirs[1].Close()
	}
}

// BenchmarkOrdinaryPyPy is whole sessions of a real interpreter behind the layers, once its library is compiled. On a busy
// machine the processor time says more than the elapsed.
func BenchmarkOrdinaryPyPy(b *testing.B) {
	e := interposedEngine(b)
	for _, c := range []struct{ name, script string }{
		{"hello", "print('hello')"},
		{"imports", "import json, re, subprocess, datetime, logging, argparse"},
		{"5000 stats", "import os\nfor i in range(5000): os.stat('/etc/hostname')"},
	} {
		b.Run(c.name, func(b *testing.B) {
			var before time.Duration
			for i := 0; b.Loop(); i++ {
				job, _, stderr := unmountedHostJob(b, c.script)
				r, err := e.Run(b.Context(), job)
				if err != nil || r.ExitCode != 0 {
					b.Fatal(r, err, stderr)
				}
				if i == 0 {
					b.StopTimer()
					<-e.program.compiled
					before = processorTime()
					b.StartTimer()
				}
			}
			b.ReportMetric((processorTime()-before).Seconds()*1000/max(1, float64(b.N-1)), "cpu-ms/op")
		})
	}
}

// BenchmarkOrdinaryPyPyStat is one os.stat in a real interpreter behind the layers, in microseconds: by the interpreter's own
// clock, over batches of a thousand.
func BenchmarkOrdinaryPyPyStat(b *testing.B) {
	e := interposedEngine(b)
	var mean, fastest float64
	for i := 0; b.Loop(); i++ {
		job, stdout, stderr := unmountedHostJob(b, `
import os, time
times = []
for _ in range(30):
    begun = time.time()
    for _ in range(1000): os.stat('/etc/hostname')
    times.append((time.time() - begun) * 1000)
print(sum(times) / len(times), min(times))
`)
		r, err := e.Run(b.Context(), job)
		if err != nil || r.ExitCode != 0 {
			b.Fatal(r, err, stderr)
		}
		var one, fast float64
		if _, err := fmt.Sscan(stdout.String(), &one, &fast); err != nil {
			b.Fatal(err)
		}
		if mean += one; i == 0 || fast < fastest {
			fastest = fast
		}
	}
	b.ReportMetric(mean/float64(b.N), "µs/stat")
	b.ReportMetric(fastest, "µs/fastest")
	b.ReportMetric(0, "ns/op")
}

// processorTime is what this process and the children that it waited for have used.
func processorTime() time.Duration {
	var sum int64
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += u.Utime.Nano() + u.Stime.Nano()
		}
	}
	return time.Duration(sum)
}
