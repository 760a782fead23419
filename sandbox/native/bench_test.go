//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// Each benchmark does the same work in the same CPython without a sandbox, in turns with the sandbox, and reports the
// ratio: what the machine does meanwhile slows both. Processor time (cpu) depends least on that.

// firstWrite notes when the first bytes come.
type firstWrite struct {
	once sync.Once
	at   time.Time
	text bytes.Buffer
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(func() { w.at = time.Now() })
	return w.text.Write(p)
}

// timing is how long a script took to its first output and to its end.
type timing struct{ first, end time.Duration }

// bareCommand is the same interpreter without a sandbox, with the same start-up options.
func bareCommand(tb testing.TB, script string) *exec.Cmd {
	tb.Helper()
	in, _, err := engine(tb).prepare(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), filepath.Join(in.root, pythonBinary), "-s", "-")
	cmd.Env = []string{"LANG=C.UTF-8", "PATH=/usr/bin:/bin", "HOME=/", "PYTHONPATH=" + withoutGuest(tb)}
	cmd.Stdin = strings.NewReader(script)
	return cmd
}

func bare(tb testing.TB, script string) (string, timing) {
	tb.Helper()
	cmd, out := bareCommand(tb, script), new(firstWrite)
	cmd.Stdout = out
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		tb.Fatal(err)
	}
	return out.text.String(), timing{out.at.Sub(begin), time.Since(begin)}
}

func sandboxed(tb testing.TB, e *Engine, job sandbox.Job) (string, timing) {
	tb.Helper()
	out, errs := new(firstWrite), new(bytes.Buffer)
	job.Stdout, job.Stderr = out, errs
	begin := time.Now()
	result, err := e.Run(tb.Context(), job)
	end := time.Since(begin)
	if err != nil || result.ExitCode != 0 {
		tb.Fatalf("%+v, %v: %s", result, err, errs)
	}
	return out.text.String(), timing{out.at.Sub(begin), end}
}

// spent is the processor time of this process and its children that have ended.
func spent(tb testing.TB) (total time.Duration) {
	tb.Helper()
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			tb.Fatal(err)
		}
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

// beside runs a script in the sandbox and without, and reports times to the first output and to the end. Where the
// engine starts interpreters ahead, one waits at the beginning of each round.
func beside(b *testing.B, e *Engine, script string) {
	b.Helper()
	bare(b, script)
	var inside, outside timing
	var insideCPU, outsideCPU time.Duration
	for b.Loop() {
		job, _, _ := jobFor(b, script)
		if e.pool.size > 0 {
			standing(b, e, job)
		}
		before := spent(b)
		_, t := sandboxed(b, e, job)
		between := spent(b)
		inside.first, inside.end = inside.first+t.first, inside.end+t.end
		_, t = bare(b, script)
		outside.first, outside.end = outside.first+t.first, outside.end+t.end
		insideCPU, outsideCPU = insideCPU+between-before, outsideCPU+spent(b)-between
	}
	if e.pool.size == 0 { // else the next interpreter starts meanwhile
		b.ReportMetric(float64(insideCPU)/float64(outsideCPU), "ratio-cpu")
		b.ReportMetric(float64(insideCPU.Microseconds())/1000/float64(b.N), "sandbox-ms-cpu")
	}
	b.ReportMetric(float64(inside.first.Microseconds())/1000/float64(b.N), "sandbox-ms/first")
	b.ReportMetric(float64(outside.first.Microseconds())/1000/float64(b.N), "bare-ms/first")
	b.ReportMetric(float64(inside.first)/float64(outside.first), "ratio-first")
	b.ReportMetric(float64(inside.end)/float64(outside.end), "ratio-end")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStart is an interpreter with its site module to the first line of output, started for the script and before it.
func BenchmarkStart(b *testing.B) {
	b.Run("cold", func(b *testing.B) { beside(b, warmEngine(b, 0), "print(1)") })
	b.Run("waiting", func(b *testing.B) { beside(b, warmEngine(b, 1), "print(1)") })
}

// BenchmarkImports is the same with about thirty modules of the standard library.
func BenchmarkImports(b *testing.B) {
	const script = `import argparse, asyncio, base64, collections, configparser, csv, datetime, decimal, difflib, email.message, fnmatch, functools, glob, gzip, hashlib, html, http.client, inspect, itertools, json, logging, os, pathlib, platform, random, re, shutil, socket, sqlite3, statistics, string, subprocess, tempfile, textwrap, threading, urllib.request, uuid, zipfile
print(1)`
	b.Run("cold", func(b *testing.B) { beside(b, warmEngine(b, 0), script) })
	b.Run("waiting", func(b *testing.B) { beside(b, warmEngine(b, 1), script) })
}

// inScript measures a statement inside the interpreter, with and without the sandbox, in batches of so many rounds: the mean
// of all, and the fastest tenth, which the machine's other work touches least.
func inScript(b *testing.B, batches, rounds int, setup, statement string) {
	b.Helper()
	script := fmt.Sprintf(`import os, time
%s
kept = []
def work():
    # Where objects lie makes a fifth of what some work takes, and a collection changes it: so they lie elsewhere each time.
    kept.append([str(i) for i in range(97 * (len(kept) %% 7))])
    t = time.perf_counter_ns()
    for _ in range(%d): %s
    return (time.perf_counter_ns() - t) / %d
work()
took = sorted(work() for _ in range(%d))
print(sum(took) / len(took), took[len(took) // 10])`, setup, rounds, statement, rounds, batches)
	var inside, outside [2]float64 // of each the mean, and the fastest tenth
	add := func(to *[2]float64, out string, _ timing) {
		var one [2]float64
		if _, err := fmt.Sscan(out, &one[0], &one[1]); err != nil {
			b.Fatal(err)
		}
		to[0], to[1] = to[0]+one[0], to[1]+one[1]
	}
	for b.Loop() {
		job, _, _ := jobFor(b, script)
		job.Limits = sandbox.Limits{}
		out, t := sandboxed(b, engine(b), job)
		add(&inside, out, t)
		out, t = bare(b, script)
		add(&outside, out, t)
	}
	for i, unit := range []string{"µs/call", "µs/fast"} {
		b.ReportMetric(inside[i]/float64(b.N)/1000, "sandbox-"+unit)
		b.ReportMetric(outside[i]/float64(b.N)/1000, "bare-"+unit)
	}
	b.ReportMetric(outside[0]/inside[0], "speed")
	b.ReportMetric(outside[1]/inside[1], "speed-fast")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkStat(b *testing.B) { inScript(b, 400, 50, "stat = os.stat", "stat('/etc/hostname')") }

func BenchmarkOpenReadClose(b *testing.B) {
	if _, err := os.Stat("/etc/hostname"); err != nil {
		b.Skip(err)
	}
	inScript(b, 400, 50, "", "fd = os.open('/etc/hostname', 0); os.read(fd, 100); os.close(fd)")
}

// BenchmarkImportModules imports a hundred modules of a script's own, from a directory and from archives, as a zip application has them.
func BenchmarkImportModules(b *testing.B) {
	const setup = `import importlib, sys, tempfile, zipfile
sys.dont_write_bytecode = True
top = tempfile.mkdtemp()
text = "import os\n" + "".join(f"def f{i}(x):\n    return x + {i}\n" for i in range(40))
names = [f"module{i}" for i in range(100)]
os.mkdir(top + "/directory")
for name in names:
    with open(f"{top}/directory/{name}.py", "w") as f: f.write(text)
for kind, how in ("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(f"{top}/{kind}", "w", how) as archive:
        for name in names: archive.writestr(name + ".py", text)
def load(kind):
    sys.path.insert(0, f"{top}/{kind}")
    sys.path_importer_cache.clear()
    for name in names: importlib.import_module(name)
    for name in names: del sys.modules[name]
    del sys.path[0]`
	for _, kind := range []string{"directory", "stored", "deflated"} {
		b.Run(kind, func(b *testing.B) { inScript(b, 20, 1, setup, "load('"+kind+"')") })
	}
}

// BenchmarkCompute is work that makes no system call.
func BenchmarkCompute(b *testing.B) {
	for name, c := range map[string]struct{ setup, statement string }{
		"fib":   {"def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)", "fib(18)"},
		"json":  {"import json\ndata = {str(i): [i, str(i) * 3, {'x': i / 7}] for i in range(1000)}", "json.loads(json.dumps(data))"},
		"regex": {"import re\ntext = 'a1b22 c333-d4444 ' * 500", `len(re.findall(r'[a-z](\\d+)', text))`},
		"sort":  {"import random\nrandom.seed(1)\ndata = [random.random() for _ in range(20000)]", "sorted(data)"},
	} {
		b.Run(name, func(b *testing.B) {
			inScript(b, 30, 10, strings.ReplaceAll(c.setup, `\\`, `\`), strings.ReplaceAll(c.statement, `\\`, `\`))
		})
	}
}

// BenchmarkReadLog reads a log of a gigabyte line by line.
func BenchmarkReadLog(b *testing.B) {
	dir := b.TempDir()
	name := filepath.Join(dir, "log")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	line := []byte("2026-01-02T03:04:05.678901+00:00 host unit[1234]: request 8f3a served in 12 ms with status 200 and 4711 bytes\n")
	for n := 0; n < 1<<30; n += len(line) {
		_, _ = w.Write(line)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	_ = f.Close()
	policy, err := vfs.NewPolicy([]string{dir}, nil)
	if err != nil {
		b.Fatal(err)
	}
	script := fmt.Sprintf("n = 0\nfor line in open(%q, 'rb'): n += len(line)\nprint(n)", name)
	bare(b, script) // into the page cache
	var inside, outside time.Duration
	for b.Loop() {
		job, _, _ := jobFor(b, script)
		job.FS, err = vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Now: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		_, t := sandboxed(b, engine(b), job)
		inside += t.end
		_, t = bare(b, script)
		outside += t.end
		_ = job.FS.Close()
	}
	b.ReportMetric(inside.Seconds()/float64(b.N), "sandbox-s/op")
	b.ReportMetric(outside.Seconds()/float64(b.N), "bare-s/op")
	b.ReportMetric(float64(outside)/float64(inside), "speed")
	b.ReportMetric(0, "ns/op")
}

// crowd is how many scripts run at once in BenchmarkCrowd.
const crowd = 100

// BenchmarkCrowd runs a hundred scripts at once, each of which looks at files as the example does, in sandboxes and as
// bare processes.
func BenchmarkCrowd(b *testing.B) {
	const script = `
import subprocess, os, json
for _ in range(3):
    with open("/proc/meminfo") as f: lines = [next(f).rstrip() for _ in range(3)]
    names = sorted(os.listdir("/etc"))
    sizes = {n: os.stat("/etc/" + n, follow_symlinks=False).st_size for n in names[:50]}
print(lines, json.dumps(sizes))`
	all := func(run func()) time.Duration {
		begin := time.Now()
		var wg sync.WaitGroup
		for range crowd {
			wg.Go(run)
		}
		wg.Wait()
		return time.Since(begin)
	}
	var inside, outside, insideCPU, outsideCPU time.Duration
	for b.Loop() {
		before := spent(b)
		inside += all(func() {
			job, _, _ := jobFor(b, script)
			sandboxed(b, engine(b), job)
		})
		between := spent(b)
		outside += all(func() { bare(b, script) })
		insideCPU, outsideCPU = insideCPU+between-before, outsideCPU+spent(b)-between
	}
	b.ReportMetric(float64(insideCPU)/float64(outsideCPU), "ratio-cpu")
	b.ReportMetric(inside.Seconds()/float64(b.N), "sandbox-s/op")
	b.ReportMetric(outside.Seconds()/float64(b.N), "bare-s/op")
	b.ReportMetric(float64(outside)/float64(inside), "speed")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMemory is the proportional set size (proc_pid_smaps(5)) of a hundred sandboxes that have begun, with what the
// supervisor has for them, and of a hundred bare interpreters.
func BenchmarkMemory(b *testing.B) {
	const script = "import subprocess, os, json, sys\nprint(os.getpid(), flush=True)\nsys.stdin.read() if False else os.read(0, 1)"
	for b.Loop() {
		runtime.GC()
		before := proportional(b, os.Getpid())
		var pids []int
		inside := func() (ready chan int, release func()) {
			r, w, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			ready = make(chan int, 1)
			job, _, _ := jobFor(b, "")
			// The script is code, so that its input can hold it.
			job.Args, job.Stdin = []string{"-c", script}, r
			job.Stdout = writerFunc(func(p []byte) (int, error) {
				n, err := strconv.Atoi(strings.TrimSpace(string(p)))
				ready <- n
				return len(p), err
			})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = engine(b).Run(b.Context(), job)
			}()
			return ready, func() { _ = w.Close(); <-done; _ = r.Close() }
		}
		var releases []func()
		for range crowd {
			ready, release := inside()
			pids, releases = append(pids, <-ready), append(releases, release)
		}
		runtime.GC()
		total := proportional(b, os.Getpid()) - before
		for _, pid := range pids {
			total += proportional(b, pid)
		}
		for _, release := range releases {
			release()
		}
		b.ReportMetric(float64(total)/crowd/(1<<20), "sandbox-MiB")
		b.ReportMetric(float64(bareMemory(b, script))/crowd/(1<<20), "bare-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

func bareMemory(b *testing.B, script string) (total int64) {
	b.Helper()
	var commands []*exec.Cmd
	var inputs []io.Closer
	for range crowd {
		cmd := bareCommand(b, "")
		cmd.Args = append(cmd.Args[:len(cmd.Args)-1], "-c", script)
		cmd.Stdin = nil
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			b.Fatal(err)
		}
		commands, inputs = append(commands, cmd), append(inputs, in)
	}
	for _, cmd := range commands {
		total += proportional(b, cmd.Process.Pid)
	}
	for i, cmd := range commands {
		_ = inputs[i].Close()
		_ = cmd.Wait()
	}
	return total
}

// proportional reads Pss of /proc/PID/smaps_rollup, in bytes.
func proportional(b *testing.B, pid int) int64 {
	b.Helper()
	n := procfs.Kibibytes(procfs.Small(fmt.Sprintf("/proc/%d/smaps_rollup", pid)), "Pss:")
	if n == 0 {
		b.Fatalf("no proportional set size of process %d", pid)
	}
	return n
}
