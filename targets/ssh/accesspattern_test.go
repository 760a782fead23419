package ssh

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// processes is a /proc with so many processes, numbered from 1 in steps of 3.
func processes(n int) (files map[string]*fakeFile, pids []string) {
	files = map[string]*fakeFile{"/proc": {mode: fs.ModeDir | 0o555}, "/proc/net": {mode: fs.ModeDir | 0o555}, "/proc/uptime": {mode: 0o444, data: []byte("1")}}
	for i := range n {
		pid := fmt.Sprint(1 + 3*i)
		pids = append(pids, pid)
		files["/proc/"+pid] = &fakeFile{mode: fs.ModeDir | 0o555}
		files["/proc/"+pid+"/stat"] = &fakeFile{mode: 0o444, data: []byte(pid + " (x) S")}
		files["/proc/"+pid+"/environ"] = &fakeFile{mode: 0o444, data: []byte("SECRET=1")}
		files["/proc/"+pid+"/exe"] = &fakeFile{mode: fs.ModeSymlink | 0o777, target: "/bin/" + pid}
		files["/proc/"+pid+"/task"] = &fakeFile{mode: fs.ModeDir | 0o555}
		files["/proc/"+pid+"/task/"+pid] = &fakeFile{mode: fs.ModeDir | 0o555}
		files["/proc/"+pid+"/task/"+pid+"/comm"] = &fakeFile{mode: 0o444, data: []byte("x")}
	}
	return files, pids
}

// text reads a file as a script does.
func (s scriptView) text(name string) string {
	s.t.Helper()
	file, err := s.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
		return ""
	}
	defer func() { _ = file.Close() }()
	fd, err := file.Descriptor(syscall.O_RDONLY)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
		return ""
	}
	defer func() { _ = syscall.Close(fd) }()
	var b [256]byte
	n, err := syscall.Pread(fd, b[:], 0)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
	}
	return string(b[:n])
}

// askedFor is which of the files were asked for, once nothing is under way any more. No one may have been asked for twice.
func (s scriptView) askedFor(method, pattern string, pids []string) (asked []string) {
	s.t.Helper()
	s.remote.(*View).reading.Wait()
	for _, pid := range pids {
		switch n := s.fake.times(method + " " + fmt.Sprintf(pattern, pid)); {
		case n > 1:
			s.t.Errorf("%s of %s: %d times", method, pid, n)
		case n == 1:
			asked = append(asked, pid)
		}
	}
	return asked
}

func TestFilesOfTheSameNameAreReadAhead(t *testing.T) {
	lexical := func(pids []string) []string { return slices.Sorted(slices.Values(pids)) }
	numeric := func(pids []string) []string { return pids }
	for _, order := range []func([]string) []string{lexical, numeric} {
		files, pids := processes(60)
		s := scriptOn(t, files)
		s.list("/proc")
		way := order(pids)
		for i, pid := range way[:4] {
			if got := s.text("/proc/" + pid + "/stat"); got != pid+" (x) S" {
				t.Errorf("process %d: %q", i, got)
			}
		}
		asked := s.askedFor("Get", "/proc/%s/stat", way)
		if n := len(asked); n < 6 || n > 4+maxWindow || !slices.Equal(asked, way[:n]) {
			t.Errorf("asked for %v", asked)
		}
		for _, pid := range way[4:] {
			if got := s.text("/proc/" + pid + "/stat"); got != pid+" (x) S" {
				t.Errorf("process %s: %q", pid, got)
			}
		}
		if asked := s.askedFor("Get", "/proc/%s/stat", way); len(asked) != len(way) {
			t.Errorf("at the end: asked for %d", len(asked))
		}
	}
}

func TestFilesFurtherDownAndLinksAndListingsAreAskedForAhead(t *testing.T) {
	files, pids := processes(40)
	s := scriptOn(t, files)
	s.list("/proc")
	for _, pid := range pids[:4] {
		s.text("/proc/" + pid + "/task/" + pid + "/comm") // has no neighbour of the same name
		if got, err := s.Readlink("/proc/" + pid + "/exe"); got != "/bin/"+pid || err != nil {
			t.Errorf("process %s: %q, %v", pid, got, err)
		}
		if got := s.list("/proc/" + pid + "/task"); !slices.Equal(got, []string{pid}) {
			t.Errorf("process %s: %q", pid, got)
		}
	}
	for method, name := range map[string]string{"Readlink": "/proc/%s/exe", "List": "/proc/%s/task"} {
		if asked := s.askedFor(method, name, pids); len(asked) < 6 || len(asked) > 4+maxWindow || !slices.Equal(asked, pids[:len(asked)]) {
			t.Errorf("%s of %v", method, asked)
		}
	}
	files, pids = processes(40)
	for _, pid := range pids {
		files["/proc/"+pid+"/net/dev"] = &fakeFile{mode: 0o444, data: []byte(pid)}
		files["/proc/"+pid+"/net"] = &fakeFile{mode: fs.ModeDir | 0o555}
	}
	s = scriptOn(t, files)
	s.list("/proc")
	for _, pid := range pids[:4] {
		if got := s.text("/proc/" + pid + "/net/dev"); got != pid {
			t.Errorf("process %s: %q", pid, got)
		}
	}
	if asked := s.askedFor("Get", "/proc/%s/net/dev", pids); len(asked) < 6 {
		t.Errorf("files further down: %v", asked)
	}
}

// A file of the kernel says what is now. What was read ahead is handed out once, and not when it has become old.
func TestWhatWasReadAheadOfAKernelIsNotShownLate(t *testing.T) {
	files, pids := processes(40)
	s := scriptOn(t, files)
	s.list("/proc")
	for _, pid := range pids[:3] {
		s.text("/proc/" + pid + "/stat")
	}
	s.remote.(*View).reading.Wait()
	late := pids[3]
	if s.fake.times("Get /proc/"+late+"/stat") != 1 {
		t.Fatal("it was not read ahead")
	}
	s.fake.set("/proc/"+late+"/stat", &fakeFile{mode: 0o444, data: []byte("later")})
	s.clock.add(kernelLife)
	if got := s.text("/proc/" + late + "/stat"); got != "later" {
		t.Errorf("an old one: %q", got)
	}
	s.remote.(*View).reading.Wait()
	again := pids[4]
	s.text("/proc/" + again + "/stat")
	s.fake.set("/proc/"+again+"/stat", &fakeFile{mode: 0o444, data: []byte("again")})
	if got := s.text("/proc/" + again + "/stat"); got != "again" {
		t.Errorf("the same once more: %q", got)
	}
	s.remote.Forget() // a command ran
	for _, pid := range pids {
		s.fake.set("/proc/"+pid+"/stat", &fakeFile{mode: 0o444, data: []byte("after")})
	}
	if got := s.text("/proc/" + pids[5] + "/stat"); got != "after" {
		t.Errorf("after a command: %q", got)
	}
}

// Hidden names, links, FIFOs, devices, large files, and links in place of directories: none of them is opened ahead.
func TestReadAheadSeesNothingThatTheSessionMayNotSee(t *testing.T) {
	files, pids := processes(60)
	traps := map[string]*fakeFile{
		pids[8]: {mode: fs.ModeNamedPipe | 0o644}, pids[9]: {mode: fs.ModeSymlink | 0o777, target: "/etc/shadow"},
		pids[10]: {mode: fs.ModeDevice | 0o644}, pids[11]: {mode: 0o644, size: smallFile + 1}, pids[12]: {mode: fs.ModeSocket | 0o644},
	}
	for pid, trap := range traps {
		files["/proc/"+pid+"/stat"] = trap
	}
	files["/proc/"+pids[13]].mode = fs.ModeSymlink | 0o777 // it was a directory once
	f, target := startFake(t, files)
	policy, err := vfs.NewPolicy([]string{"/proc"}, []string{"/proc/*/environ", "/proc/" + pids[6], "/proc/" + pids[7] + "/stat"})
	if err != nil {
		t.Fatal(err)
	}
	v := viewOf(t, target, targets.ViewOptions{Policy: policy})
	if _, err := v.ReadDir("/proc"); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(slices.Clone(pids[:6]), pids[14], pids[15], pids[16]) {
		if got, err := content(v, "/proc/"+pid+"/stat"); got != pid+" (x) S" || err != nil {
			t.Errorf("%s: %q, %v", pid, got, err)
		}
	}
	v.(*View).reading.Wait()
	for _, pid := range pids[6:14] {
		if n := f.times("Get /proc/" + pid + "/stat"); n != 0 {
			t.Errorf("%s was opened", pid)
		}
	}
	if f.times("Get /proc/"+pids[20]+"/stat") != 1 {
		t.Error("the pattern was lost")
	}
	for name := range files {
		if n := f.times("Get " + name); n > 0 && strings.HasSuffix(name, "environ") {
			t.Errorf("%s was opened", name)
		}
	}
}

// A script that takes its time is not asked far ahead of: what is read too early is read in vain.
func TestASlowScriptIsNotFarAheadOf(t *testing.T) {
	files, pids := processes(200)
	s := scriptOn(t, files)
	s.list("/proc")
	for _, pid := range pids[:100] {
		s.text("/proc/" + pid + "/stat")
		s.remote.(*View).reading.Wait()
		s.clock.add(600 * time.Millisecond)
	}
	n := 0
	for _, pid := range pids {
		n += s.fake.times("Get /proc/" + pid + "/stat")
	}
	if n > 250 {
		t.Errorf("100 files were read %d times", n)
	}
}

func TestNumbersAreInOrder(t *testing.T) {
	got := []string{"10", "9", "100", "007", "x", "", strings.Repeat("9", 40)}
	slices.SortFunc(got[:4], byNumber)
	if want := []string{"007", "9", "10", "100"}; !slices.Equal(got[:4], want) {
		t.Errorf("%q", got)
	}
	for _, name := range got[4:] {
		if isNumber(name) {
			t.Errorf("%q is a number", name)
		}
	}
}
