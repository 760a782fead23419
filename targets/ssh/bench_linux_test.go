package ssh

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
	"shannot-gateway/vfs"
)

// roundTrip is that of the line that the benchmarks measure over, beside OpenSSH's own clients, and sshfs where there is
// one, over the same one.
const roundTrip = 20 * time.Millisecond

// longLine is a server at the other end of a long line: one that tc-netem(8) makes in a network namespace where that can
// be had, or else one that the test makes by holding back what it copies.
type longLine struct {
	*sshdtest.Server
	ns     *namespace // nil without netem
	target *Target
	dir    string // a directory with the files
	policy *vfs.Policy
}

func startLine(b *testing.B) *longLine {
	b.Helper()
	l := &longLine{Server: sshdtest.Start(b), dir: b.TempDir()}
	var err error
	if l.ns, err = makeNamespace(b, fmt.Sprintf("netem delay %dus limit 100000", roundTrip.Microseconds()/2)); err != nil {
		b.Logf("the line is made in this process: %v", err)
		l.SetDelay(roundTrip / 2)
	} else if err := l.ns.in(l.Rebind); err != nil {
		b.Fatal(err)
	}
	l.target = New(Options{Hops: []Hop{hopTo(l.Server, "prod")}, Timeout: 10 * time.Second, Dial: l.ns.dial})
	b.Cleanup(func() { _ = l.target.Close() })
	if err := l.target.Connect(b.Context()); err != nil {
		b.Fatal(err)
	}
	if l.policy, err = vfs.NewPolicy([]string{"/"}, nil); err != nil {
		b.Fatal(err)
	}
	return l
}

// run runs a client at this end of the line, and returns what it prints.
func (l *longLine) run(name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout = &out
	if err := l.ns.in(cmd.Start); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	return out.Bytes(), err
}

// options are those of OpenSSH's clients for the server.
func (l *longLine) options(more ...string) []string {
	return append([]string{
		"-o", "Port=" + strconv.Itoa(l.Port), "-i", l.Client, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-F", "none",
	}, more...)
}

func (l *longLine) host() string { return l.User + "@" + l.Host }

// master opens a connection that further ssh clients share, and returns the options for them.
func (l *longLine) master(b *testing.B) []string {
	b.Helper()
	socket := filepath.Join(l.Dir, "master")
	cmd := exec.Command("ssh", l.options("-M", "-S", socket, "-N", l.host())...)
	if err := l.ns.in(cmd.Start); err != nil {
		b.Skip("no OpenSSH client on this machine")
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for exec.Command("ssh", l.options("-S", socket, "-O", "check", l.host())...).Run() != nil {
		continue
	}
	return l.options("-S", socket)
}

// mounts measures work on a mount of the target by sshfs, which is new each time, as a session is.
func (l *longLine) mounts(b *testing.B, work func(root string)) {
	b.Helper()
	if _, err := exec.LookPath("sshfs"); err != nil {
		b.Skip("no sshfs on this machine")
	}
	root := b.TempDir()
	for b.Loop() {
		b.StopTimer()
		cmd := exec.Command("sshfs", append([]string{"-f", l.host() + ":/", root}, sshfsOptions(l.options())...)...)
		if err := l.ns.in(cmd.Start); err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for !mounted(b, root) {
			select {
			case err := <-ended:
				b.Skipf("sshfs does not work on this machine: %v", err)
			default:
			}
		}
		b.StartTimer()
		work(root)
		b.StopTimer()
		if out, err := exec.Command("fusermount3", "-u", root).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		<-ended
		b.StartTimer()
	}
}

// sshfsOptions are those of ssh as sshfs takes them.
func sshfsOptions(options []string) []string {
	out := slices.Clone(options)
	for i, o := range out {
		if o == "-i" {
			out[i], out[i+1] = "-o", "IdentityFile="+out[i+1]
		}
	}
	return out
}

// mounted reports whether a file system has been mounted on a directory.
func mounted(b *testing.B, dir string) bool {
	b.Helper()
	var inside, outside syscall.Stat_t
	if err := syscall.Stat(filepath.Dir(dir), &outside); err != nil {
		b.Fatal(err)
	}
	return syscall.Stat(dir, &inside) == nil && inside.Dev != outside.Dev
}

// readMounted reads a file of a mount in pieces as a copying program does.
func readMounted(b *testing.B, name string, size int64) {
	b.Helper()
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil || n != size {
		b.Fatal(n, err)
	}
}

func (l *longLine) put(b *testing.B, name string, size int64) string {
	b.Helper()
	full := filepath.Join(l.dir, name)
	if err := os.WriteFile(full, make([]byte, size), 0o600); err != nil {
		b.Fatal(err)
	}
	return full
}

// session is a script's view of the target, as a session has it.
func (l *longLine) session(b *testing.B) (*vfs.Session, func()) {
	b.Helper()
	v := l.target.View(targets.ViewOptions{Policy: l.policy})
	s, err := vfs.NewSession(vfs.Config{Base: v, Policy: l.policy})
	if err != nil {
		b.Fatal(err)
	}
	return s, func() { _ = s.Close(); _ = v.Close() }
}

func read(b *testing.B, s *vfs.Session, name string) int64 {
	b.Helper()
	file, err := s.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	return copied(b, file, name)
}

// copied reads an open file to its end, and closes it.
func copied(b *testing.B, file vfs.File, name string) int64 {
	b.Helper()
	defer func() { _ = file.Close() }()
	if stream := file.(vfs.Streamed).Stream(); stream != nil {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.NewSectionReader(whole{stream}, 0, stream.Size()), make([]byte, 1<<20))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	fd, err := file.Descriptor(syscall.O_RDONLY)
	if err != nil {
		b.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }()
	n, err := io.Copy(io.Discard, f)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// The first small file that a session reads, over a connection that stands.
func BenchmarkFirstSmallFile(b *testing.B) {
	l := startLine(b)
	name := l.put(b, "small", 1000)
	b.Run("gateway", func(b *testing.B) {
		for b.Loop() {
			s, end := l.session(b)
			if n := read(b, s, name); n != 1000 {
				b.Fatal(n)
			}
			end()
		}
	})
	b.Run("ssh-cat-over-a-master", func(b *testing.B) {
		o := l.master(b)
		for b.Loop() {
			if out, err := l.run("ssh", append(o, l.host(), "cat "+name)...); err != nil || len(out) != 1000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("sshfs", func(b *testing.B) {
		l.mounts(b, func(root string) { readMounted(b, root+name, 1000) })
	})
	b.Run("ssh-cat", func(b *testing.B) {
		for b.Loop() {
			if out, err := l.run("ssh", l.options(l.host(), "cat "+name)...); err != nil || len(out) != 1000 {
				b.Fatal(err)
			}
		}
	})
}

// A directory of 200 small files, read one after the other. The time is that of one file.
func BenchmarkSmallFiles(b *testing.B) {
	const files = 200
	l := startLine(b)
	var names []string
	for i := range files {
		names = append(names, l.put(b, fmt.Sprintf("f%03d", i), 2000))
	}
	b.Run("gateway", func(b *testing.B) {
		for b.Loop() {
			s, end := l.session(b)
			dir, err := s.Open(l.dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := dir.ReadDir(); err != nil {
				b.Fatal(err)
			}
			_ = dir.Close()
			for _, name := range names {
				if n := read(b, s, name); n != 2000 {
					b.Fatal(n)
				}
			}
			end()
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*files), "µs/file")
	})
	b.Run("sshfs", func(b *testing.B) {
		l.mounts(b, func(root string) {
			if entries, err := os.ReadDir(root + l.dir); err != nil || len(entries) != files {
				b.Fatal(len(entries), err)
			}
			for _, name := range names {
				readMounted(b, root+name, 2000)
			}
		})
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*files), "µs/file")
	})
	b.Run("ssh-cat-over-a-master", func(b *testing.B) {
		o := l.master(b)
		n := 0
		for b.Loop() {
			if _, err := l.run("ssh", append(o, l.host(), "cat "+names[n%files])...); err != nil {
				b.Fatal(err)
			}
			n++
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/file")
	})
}

// A tree of 2,000 files in 100 directories, walked as os.walk does with a stat of each.
func BenchmarkWalk(b *testing.B) {
	l := startLine(b)
	for d := range 100 {
		dir := filepath.Join(l.dir, fmt.Sprintf("d%02d", d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 20 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("gateway", func(b *testing.B) {
		for b.Loop() {
			s, end := l.session(b)
			if n := walk(b, s, l.dir); n != 2000 {
				b.Fatal(n)
			}
			end()
		}
	})
	b.Run("gateway-again", func(b *testing.B) { // in the same session
		s, end := l.session(b)
		defer end()
		walk(b, s, l.dir)
		for b.Loop() {
			if n := walk(b, s, l.dir); n != 2000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("sshfs", func(b *testing.B) {
		l.mounts(b, func(root string) {
			n := 0
			err := filepath.WalkDir(root+l.dir, func(_ string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if info, err := d.Info(); err != nil || info.IsDir() {
					return err
				}
				n++
				return nil
			})
			if err != nil || n != 2000 {
				b.Fatal(n, err)
			}
		})
	})
}

func walk(b *testing.B, s *vfs.Session, dir string) (files int) {
	b.Helper()
	d, err := s.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		b.Fatal(err)
	}
	entries, err := d.ReadDir()
	if err != nil {
		b.Fatal(err)
	}
	_ = d.Close()
	for _, e := range entries[2:] {
		info, err := s.Lstat(dir + "/" + e.Name)
		switch {
		case err != nil:
			b.Fatal(err)
		case info.IsDir():
			files += walk(b, s, dir+"/"+e.Name)
		default:
			files++
		}
	}
	return files
}

// One file of each process, of 300 at least, as a script reads that looks for one. The time is that of one file.
func BenchmarkProcesses(b *testing.B) {
	l := startLine(b)
	for range 300 {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	files := 0
	for b.Loop() {
		s, end := l.session(b)
		dir, err := s.Open("/proc", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			b.Fatal(err)
		}
		entries, err := dir.ReadDir()
		if err != nil {
			b.Fatal(err)
		}
		_ = dir.Close()
		for _, e := range entries {
			if _, err := strconv.Atoi(e.Name); err != nil {
				continue
			}
			if file, err := s.Open("/proc/"+e.Name+"/stat", syscall.O_RDONLY, 0); err == nil { // else it has ended
				if n := copied(b, file, e.Name); n > 0 {
					files++
				}
			}
		}
		end()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(files), "µs/file")
}

// A file of 256 MiB, from one end to the other.
func BenchmarkLargeFile(b *testing.B) {
	const size = 256 << 20
	l := startLine(b)
	name := l.put(b, "large", size)
	b.Run("gateway", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			s, end := l.session(b)
			if n := read(b, s, name); n != size {
				b.Fatal(n)
			}
			end()
		}
	})
	b.Run("sftp-get", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, err := l.run("sftp", l.options("-q", l.host()+":"+name, "/dev/null")...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sshfs", func(b *testing.B) {
		b.SetBytes(size)
		l.mounts(b, func(root string) { readMounted(b, root+name, size) })
	})
}
