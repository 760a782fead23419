//go:build linux && (amd64 || arm64)

package pypy

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// The files of testdata/traces are every call that a real executable made while it ran a small script, one a line:
//
//	name(argtypes)rettype args(…) [Z:'string read'] [R:bytes read] [wrote=bytes written] -> result [errno] [xN repeats]
//
// They were answered by another controller, whose answers are not the only right ones.

// step is one line of a trace.
type step struct {
	line      int
	signature string
	args      []string
	texts     []string
	result    string // "-1", a number, "NULL" or "ptr"
	errno     string
	repeat    int
}

var stepPattern = regexp.MustCompile(`^(\S+) args\((.*?)\)((?: [ZR]:\S.*?| wrote=\d+)*) -> (\S+)(?: (E[A-Z]+))?(?: x(\d+))?$`)

var textPattern = regexp.MustCompile(`Z:'([^']*)'`)

func readTrace(t testing.TB, name string) []step {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []step
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		m := stepPattern.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("%s:%d: not understood: %s", name, n, lines.Text())
		}
		s := step{line: n, signature: m[1], result: m[4], errno: m[5], repeat: 1}
		if m[2] != "" {
			s.args = strings.Split(m[2], ", ")
		}
		for _, z := range textPattern.FindAllStringSubmatch(m[3], -1) {
			text := strings.Replace(z[1], "/lib/", Prefix+"/", 1)
			if text == Prefix+"/pypy" {
				text = Interpreter
			}
			s.texts = append(s.texts, text)
		}
		if m[6] != "" {
			s.repeat, _ = strconv.Atoi(m[6])
		}
		out = append(out, s)
	}
	return out
}

// worldOf makes the library and the target that a trace was recorded over: what was found exists, with as many bytes as
// were read of it.
func worldOf(steps []step) (disk, target *vfs.Static) {
	disk, target = &vfs.Static{}, targetFiles()
	sizes, dirs, open := map[string]int{}, map[string]bool{}, map[string]string{}
	read := map[string]int{}
	for _, s := range steps {
		switch name, _, _ := strings.Cut(s.signature, "("); {
		case len(s.texts) > 0 && s.result != "-1" && (name == "stat64" || name == "lstat64"):
			if _, ok := sizes[s.texts[0]]; !ok {
				sizes[s.texts[0]] = 0
			}
		case name == "opendir":
			dirs[s.texts[0]] = true
		case name == "open" && s.result != "-1":
			open[s.result], read[s.result] = s.texts[0], 0
		case name == "read":
			n, _ := strconv.Atoi(s.result)
			read[s.args[0]] += n * s.repeat
			sizes[open[s.args[0]]] = max(sizes[open[s.args[0]]], read[s.args[0]])
		}
	}
	for file := range sizes {
		dirs[path.Dir(file)] = true
	}
	for file, size := range sizes {
		text := []byte(strings.Repeat("#", size))
		own, inside := strings.CutPrefix(file, Prefix)
		switch {
		case dirs[file] || path.Ext(file) == "" && inside:
		case inside:
			disk.AddFile(own, 0o644, text)
		case !strings.HasPrefix(file, "/tmp/"):
			target.AddFile(file, 0o644, text)
		}
	}
	return disk, target
}

// betterAnswers are the calls whose recorded answer is a failure that a script would not expect.
var betterAnswers = map[string]bool{"clock_gettime(ip)i": true, "dirfd(p)i": true}

func TestRecordedTracesAreAnswered(t *testing.T) {
	files, err := filepath.Glob("testdata/traces/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no traces", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			steps := readTrace(t, name)
			disk, target := worldOf(steps)
			view, err := vfs.NewSession(vfs.Config{Base: target, Scratch: []string{"/tmp"}, UID: 1000, GID: 1000})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = view.Close() }()
			job, _, _ := jobOver(t, target)
			job.FS, job.Dir, job.Commands, job.Env = view, "/tmp", new(recorder), nil
			if err := mount(job, newLibrary(disk, nil, time.Unix(1e9, 0)), time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
			if f, err := view.Open("/tmp/data.txt", unix.O_CREAT|unix.O_WRONLY, 0o600); err == nil {
				_ = f.Close()
			}
			c := newDouble(t)
			c.start(t.Context(), job)
			r := &replay{double: c, file: name}
			for _, s := range steps {
				c.used = 0 // nothing but streams and strings of the driver's own stays, which replays do not look at
				for range s.repeat {
					r.play(s)
				}
			}
			if got := c.finish(0); got.Cause != sandbox.Exited {
				t.Errorf("%+v", got)
			}
		})
	}
}

// replay is the state of a replayed trace.
type replay struct {
	*double
	file    string
	stream  uint64
	failure int
}

// play makes one recorded call, and compares the answer's class: success or failure, with the same errno, and the
// same number where it counts bytes or is a descriptor.
func (r *replay) play(s step) {
	name, _, _ := strings.Cut(s.signature, "(")
	if name == "readdir" && s.result == "NULL" {
		for r.call(s.signature, r.stream) != 0 { // our directories may hold more
		}
		return
	}
	got := r.call(s.signature, r.arguments(s)...)
	ok := true
	switch {
	case betterAnswers[s.signature]:
		ok = got >= 0
	case name == "readdir":
	case name == "opendir":
		r.stream = uint64(got)
		ok = got != 0
	case name == "mkdir" && s.errno == "EPERM":
		ok = got == -1 && r.errno == unix.EROFS
	case name == "getpid" || name == "time" || name == "gettimeofday":
		ok = got >= 0
	case s.result == "NULL":
		ok = got == 0
	case s.result == "ptr":
		ok = got != 0
	default:
		want, _ := strconv.ParseInt(s.result, 10, 64)
		ok = got == want && (s.errno == "" || unix.ErrnoName(r.errno) == s.errno)
	}
	if !ok {
		if r.failure++; r.failure < 10 {
			r.tb.Errorf("%s:%d: %s %q %q: got %d %s, recorded %s %s", r.file, s.line, s.signature, s.args, s.texts, got,
				unix.ErrnoName(r.errno), s.result, s.errno)
		}
	}
}

// arguments makes a call's arguments: pointers lead to the recorded strings first, and then to room.
func (r *replay) arguments(s step) []uint64 {
	texts := s.texts
	name, _, _ := strings.Cut(s.signature, "(")
	if name == "mkdir" { // the recorder did not say of what: byte code beside its module
		texts = []string{Prefix + "/lib-python/3/__pycache__"}
	}
	if name == "open" || name == "unlink" || name == "opendir" {
		texts = texts[:min(len(texts), 1)] // a string that is read twice
	}
	var out []uint64
	for _, a := range s.args {
		switch {
		case a == "NULL":
			out = append(out, 0)
		case a != "p":
			n, err := strconv.ParseInt(a, 10, 64)
			if err != nil {
				r.tb.Fatalf("%s:%d: argument %q", r.file, s.line, a)
			}
			out = append(out, uint64(n))
		case name == "readdir" || name == "closedir" || name == "dirfd":
			out = append(out, r.stream)
		case len(texts) > 0:
			out, texts = append(out, r.text(texts[0])), texts[1:]
		default:
			out = append(out, r.room(1<<16))
		}
	}
	return out
}

func TestEveryNamedFunctionHasATreatment(t *testing.T) {
	text, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Fields(string(text))
	if len(named) < 150 {
		t.Fatalf("only %d functions are named", len(named))
	}
	for _, signature := range named {
		if functions[signature] == nil {
			t.Errorf("%s has no row", signature)
		}
	}
	seen := map[string]bool{}
	for _, f := range table {
		switch {
		case seen[f.signature]:
			t.Errorf("%s has two rows", f.signature)
		case f.why == "":
			t.Errorf("%s has no reason", f.signature)
		case (f.do == answer) != (f.call != nil):
			t.Errorf("%s: treatment and handler do not go together", f.signature)
		case (f.do == refuse) != (f.errno != 0):
			t.Errorf("%s: treatment and errno do not go together", f.signature)
		}
		seen[f.signature] = true
	}
}

func TestEveryFunctionIsAnsweredWhateverItsArguments(t *testing.T) {
	values := []uint64{0, 1, 2, 3, ^uint64(0), 1 << 31, 1 << 62, 4096}
	for _, f := range table {
		if f.signature == "_exit(i)v" || f.signature == "kill(ii)i" {
			continue // they end the run
		}
		t.Run(f.signature, func(t *testing.T) {
			c, _, _ := begin(t, func(j *sandbox.Job) { j.Commands = new(recorder) })
			text, room := c.text("/tmp/x"), c.room(1<<16)
			for i := range 24 {
				var args []uint64
				types := strings.TrimSuffix(f.signature[strings.Index(f.signature, "(")+1:strings.Index(f.signature, ")")], "v")
				for k := range types {
					switch v := values[(i+3*k)%len(values)]; {
					case types[k] == 'p' && i%3 == 0:
						args = append(args, text)
					case types[k] == 'p' && i%3 == 1:
						args = append(args, room)
					case types[k] == 'p':
						args = append(args, 0)
					default:
						args = append(args, v)
					}
				}
				if strings.HasPrefix(f.signature, "read(") && args[0] == 0 {
					continue // waits for the agent, as it should
				}
				if strings.HasPrefix(f.signature, "select") {
					args[4] = c.room(16) // and does not wait
				}
				if strings.HasPrefix(f.signature, "dup2") || strings.HasPrefix(f.signature, "rpy_dup2") || strings.HasPrefix(f.signature, "close(") {
					args[0] = 77
				}
				if _, err := c.try(f.signature, args...); err != nil {
					t.Fatalf("%v: %v; the double ended with %v", args, err, c.status)
				}
			}
			c.want(1000, 0, "getuid()i")
			c.finish(0)
		})
	}
}

func TestUnknownFunctionIsRefusedAndTheSessionLives(t *testing.T) {
	c, _, _ := begin(t, nil)
	c.want(-1, unix.ENOSYS, "memfd_create(pi)i", 1, 2)
	c.want(0, unix.ENOSYS, "dlopen(pi)p", 1, 2)
	c.want(0, unix.ENOSYS, "sin(f)f", 1)
	c.want(0, unix.ENOSYS, "gone(v)v")
	c.want(1000, 0, "getuid()i")
	c.finish(0)
}

// String makes a failed subtest readable.
func (s step) String() string { return fmt.Sprint(s.signature, s.args, s.texts) }
