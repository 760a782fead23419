package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// clock stands still unless a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// scriptView is a target as a script sees it, by a clock of the test's own.
type scriptView struct {
	*vfs.Session
	remote targets.View
	clock  *clock
	fake   *fake
	t      *testing.T
}

func scriptOn(t *testing.T, files map[string]*fakeFile) scriptView {
	t.Helper()
	f, target := startFake(t, files)
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	target.now = c.Now
	target.dialer.silence = time.Minute // a busy machine is no hostile target
	policy, err := vfs.NewPolicy([]string{"/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	remote := viewOf(t, target, targets.ViewOptions{Policy: policy})
	s, err := vfs.NewSession(vfs.Config{Base: remote, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return scriptView{s, remote, c, f, t}
}

// asked is how often the target was asked for anything, once nothing is under way any more.
func (s scriptView) asked() int {
	s.remote.(*View).reading.Wait()
	return s.fake.questions()
}

// list is os.listdir.
func (s scriptView) list(name string) []string {
	s.t.Helper()
	dir, err := s.Open(name, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	defer func() { _ = dir.Close() }()
	entries, err := dir.ReadDir()
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	var names []string
	for _, e := range entries[2:] { // without . and ..
		names = append(names, e.Name)
	}
	return names
}

// walk is os.walk with an lstat of everything, each step taking so long.
func (s scriptView) walk(dir string, step time.Duration) (n int) {
	s.t.Helper()
	for _, name := range s.list(dir) {
		s.clock.add(step)
		full := dir + "/" + name
		info, err := s.Lstat(full)
		if err != nil {
			s.t.Fatalf("%s: %v", full, err)
		}
		n++
		switch {
		case info.IsDir():
			n += s.walk(full, step)
		case info.IsSymlink():
			if _, err := s.Readlink(full); err != nil {
				s.t.Fatalf("%s: %v", full, err)
			}
		}
	}
	return n
}

func servedTree() map[string]*fakeFile {
	files := map[string]*fakeFile{"/srv": {mode: fs.ModeDir | 0o755}}
	for i := range 10 {
		dir := fmt.Sprintf("/srv/d%d", i)
		files[dir] = &fakeFile{mode: fs.ModeDir | 0o755}
		files[dir+"/link"] = &fakeFile{mode: fs.ModeSymlink | 0o777, target: "f0"}
		for j := range 20 {
			files[fmt.Sprintf("%s/f%d", dir, j)] = &fakeFile{mode: 0o644, data: []byte("x")}
		}
	}
	return files
}

func TestASecondWalkOverATreeAsksNothing(t *testing.T) {
	s := scriptOn(t, servedTree())
	const step = 700 * time.Millisecond // a walk of minutes
	first := s.walk("/srv", step)
	asked := s.asked()
	if second := s.walk("/srv", step); first != 10*22 || second != first {
		t.Errorf("%d and %d files", first, second)
	}
	if n := s.asked() - asked; n != 0 {
		t.Errorf("the second walk asked %d times", n)
	}
	s.remote.Forget() // a command ran
	s.walk("/srv", step)
	if n := s.asked() - asked; n < 10 {
		t.Errorf("after a command the walk asked %d times", n)
	}
}

// Where scripts begin is looked at before they ask, as far as they may see it.
func TestASessionBeginsWithItsRootAndItsHome(t *testing.T) {
	f, target := startFake(t, map[string]*fakeFile{
		"/root": {mode: fs.ModeDir | 0o700}, "/etc/passwd": {mode: 0o644, data: []byte("root:x:0:0::/root/in/here:/bin/sh\n")},
	})
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hide       []string
		home, here int
	}{{nil, 1, 1}, {[]string{"/root/in"}, 2, 1}} {
		policy, err := vfs.NewPolicy([]string{"/"}, c.hide)
		if err != nil {
			t.Fatal(err)
		}
		v := viewOf(t, target, targets.ViewOptions{Policy: policy})
		v.(*View).reading.Wait()
		asked := f.questions()
		if _, err := v.Lstat("/"); err != nil {
			t.Error(err)
		}
		if f.questions() != asked {
			t.Error("the root was asked for again")
		}
		if home, here := f.times("Lstat /root"), f.times("Lstat /root/in/here"); home != c.home || here != c.here {
			t.Errorf("hiding %v: the way to the home was asked for %d and %d times", c.hide, home, here)
		}
	}
}

// One who comes back again and again is asked for ahead of again, as in the first walk.
func TestAThirdWalkIsAskedForAhead(t *testing.T) {
	s := scriptOn(t, servedTree())
	for range 2 {
		s.walk("/srv", 200*time.Millisecond)
	}
	for range 2 { // no pause, and long enough
		s.clock.add(pauseLength - 1)
		s.exists("/srv/d9/f0")
	}
	s.list("/srv")
	for _, dir := range []string{"/srv/d0", "/srv/d1"} {
		s.list(dir)
	}
	s.remote.(*View).reading.Wait()
	for i := range 10 {
		if n := s.fake.times(fmt.Sprintf("List /srv/d%d", i)); n != 2 {
			t.Errorf("directory %d was listed %d times", i, n)
		}
	}
}

// flagFile is a file that a test makes appear.
const flagFile = "/srv/d3/flag"

func (s scriptView) exists(name string) bool {
	_, err := s.Stat(name)
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		s.t.Fatalf("%s: %v", name, err)
	}
	return err == nil
}

// until polls in so long steps, and fails where a script would wait for ever.
func (s scriptView) until(step time.Duration, what string, seen func() bool) {
	s.t.Helper()
	for waited := time.Duration(0); !seen(); waited += step {
		if waited > 10*time.Second {
			s.t.Errorf("polling every %v: %s is not seen after 10 s", step, what)
			return
		}
		s.remote.(*View).reading.Wait() // the clock must not outrun the target
		s.clock.add(step)
	}
}

func TestAScriptThatWaitsSeesItHappen(t *testing.T) {
	for _, step := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second} {
		s := scriptOn(t, servedTree())
		for range 50 {
			if s.exists(flagFile) {
				t.Fatal("it is there")
			}
			s.clock.add(step)
		}
		s.fake.set(flagFile, &fakeFile{mode: 0o644, data: []byte("1")})
		s.until(step, "a new file", func() bool { return s.exists(flagFile) })
		s.fake.set(flagFile, &fakeFile{mode: 0o644, data: []byte("longer")})
		s.until(step, "a change", func() bool { info, err := s.Stat(flagFile); return err == nil && info.Size == 6 })
		s.until(step, "a new entry", func() bool { return len(s.list("/srv/d3")) == 22 })
		s.fake.set(flagFile, nil)
		s.until(step, "an entry that is gone", func() bool { return len(s.list("/srv/d3")) == 21 && !s.exists(flagFile) })
		// Through a link on the way that comes to lead elsewhere.
		s.fake.set("/srv/current", &fakeFile{mode: fs.ModeSymlink | 0o777, target: "d1"})
		s.until(step, "a link", func() bool { return s.exists("/srv/current/f0") })
		s.fake.set("/srv/new", &fakeFile{mode: fs.ModeDir | 0o755})
		s.fake.set("/srv/new/f0", &fakeFile{mode: 0o644, data: []byte("of the new one")})
		s.fake.set("/srv/current", &fakeFile{mode: fs.ModeSymlink | 0o777, target: "new"})
		s.until(step, "where a link leads", func() bool { info, err := s.Stat("/srv/current/f0"); return err == nil && info.Size == 14 })
		// Many files at a time, which are more than any short memory of names holds.
		s.fake.set("/srv/d9/f19", &fakeFile{mode: 0o644, data: []byte("changed")})
		s.until(step, "one of many", func() bool {
			found := false
			for i := range 10 {
				for j := range 20 {
					info, err := s.Lstat(fmt.Sprintf("/srv/d%d/f%d", i, j))
					found = found || err == nil && info.Size == 7
				}
			}
			return found
		})
	}
}

func TestWhatWasSeenIsForgottenAfterAPauseOrACommand(t *testing.T) {
	s := scriptOn(t, map[string]*fakeFile{"/x": {mode: 0o644, data: []byte("old")}})
	size := func() int64 {
		t.Helper()
		info, err := s.Lstat("/x")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size
	}
	if size() != 3 {
		t.Fatal("the size")
	}
	s.fake.set("/x", &fakeFile{mode: 0o644, data: []byte("longer")})
	if size() != 3 || s.fake.times("Lstat /x") != 1 {
		t.Error("it was asked again at once")
	}
	s.remote.Forget()
	if size() != 6 {
		t.Error("it was not asked again after a command")
	}
	s.fake.set("/x", &fakeFile{mode: 0o644, data: []byte("longer still")})
	s.clock.add(pauseLength)
	if size() != 12 {
		t.Error("it was not asked again after a pause")
	}
}

func TestACacheWithABoundForgetsByItself(t *testing.T) {
	s := scriptOn(t, servedTree())
	s.remote.(*View).target.cache = 5 * time.Second
	s.walk("/srv", time.Millisecond)
	asked := s.asked()
	s.walk("/srv", time.Millisecond)
	if n := s.asked() - asked; n != 0 {
		t.Errorf("within the bound %d questions were asked", n)
	}
	for range 10 {
		s.clock.add(600 * time.Millisecond) // no pause
		s.exists("/")
		s.exists("/srv/d0")
	}
	asked = s.asked()
	s.walk("/srv", time.Millisecond)
	if n := s.asked() - asked; n < 10 {
		t.Errorf("after the bound %d questions were asked", n)
	}
}

// What was asked before a command ended, and is answered after it, says what was before.
func TestAListingThatWasUnderWayWhenACommandRanIsNotKept(t *testing.T) {
	s := scriptOn(t, servedTree())
	once := sync.OnceFunc(s.remote.Forget)
	s.fake.files["/srv/d0"].listed = once
	if n := len(s.list("/srv/d0")); n != 21 {
		t.Errorf("%d entries", n)
	}
	s.fake.set("/srv/d0/f0", &fakeFile{mode: 0o644, data: []byte("by the command")})
	if info, err := s.Lstat("/srv/d0/f0"); err != nil || info.Size != 14 {
		t.Errorf("%+v, %v: it is what was there before the command", info, err)
	}
}
