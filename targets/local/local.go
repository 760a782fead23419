//go:build unix

// Package local is the gateway's own host as a target. Commands run here, as the configured user, in a session and process
// group of their own. Files are read and changed with that user's rights. The package knows the contract of a target, views
// and the jail. It must never pass on the gateway's environment or a descriptor of its own. Begin with Local in this file;
// change_linux.go makes approved changes.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
	"shannot-gateway/vfs"
	"shannot-gateway/vfs/tasks"
)

// Name is this target's name.
const Name = "local"

// Options configure the target.
type Options struct {
	// RunAs is the user that commands run as, and files are read as, by name or by number; "" is the gateway's own. Another user
	// needs root.
	RunAs string
	// Jail puts commands that only look behind a second wall, where the machine has one. The program must have called
	// jail.Init.
	Jail bool
}

// errJailOff is why there is no jail where the configuration says so.
var errJailOff = errors.New("switched off by profile.jail")

// Local is this host.
type Local struct {
	account targets.Account
	uname   targets.Uname
	files   vfs.Source  // as the account sees them
	whole   vfs.Source  // as the gateway's own user does
	switchU bool        // commands change the user
	rights  *vfs.Rights // of the account over files, nil where they are the gateway's own
	jail    error
	running atomic.Int32 // commands
}

// New looks up the account that commands run as. An unknown user, or another one without root, is an error.
func New(o Options) (*Local, error) {
	account, err := lookupAccount(o.RunAs)
	if err != nil {
		return nil, err
	}
	own := uint32(os.Geteuid())
	if account.UID != own && own != 0 {
		return nil, fmt.Errorf("run commands as %q: the gateway is not root; leave local.run_as out or start it as root", o.RunAs)
	}
	sealDescriptors()
	l := &Local{account: account, uname: readUname(), switchU: o.RunAs != "" && own == 0, jail: errJailOff}
	if account.UID != own {
		l.rights = vfs.NewRights(account.UID, account.GID, account.Groups)
	}
	l.whole = vfs.NewHost()
	l.files = l.whole
	if l.rights != nil {
		l.files = vfs.NewHostAs(l.rights)
	}
	if o.Jail {
		l.jail = l.tryJail()
	}
	return l, nil
}

// tryJail starts a command in the jail and says why that does not work. A kernel, a container's own filter, or an
// executable that run_as may not execute can each be the reason.
func (l *Local) tryJail() error {
	if err := jail.Check(); err != nil {
		return err
	}
	name, err := l.Resolve(context.Background(), "true", "/")
	if err != nil {
		return fmt.Errorf("find a command to try the jail with: %w", err)
	}
	l.jail = nil
	p, err := l.Start(context.Background(), targets.Command{Path: name, Argv: []string{"true"}, Dir: "/", ReadOnly: true})
	if err != nil {
		return fmt.Errorf("try the jail: %w", err)
	}
	if exit, err := p.Wait(); err != nil || exit != (targets.Exit{}) {
		return fmt.Errorf("try the jail: the command ended with %d, signal %d: %w", exit.Code, exit.Signal, errors.Join(err, jail.ErrUnsupported))
	}
	return nil
}

// Jail returns nil where commands that only look start behind the second wall, else why they do not.
func (l *Local) Jail() error { return l.jail }

func lookupAccount(name string) (targets.Account, error) {
	var u *user.User
	var err error
	if name == "" {
		if u, err = user.Current(); err != nil {
			// A uid without an entry, as in a container: it still runs commands.
			id := strconv.Itoa(os.Geteuid())
			u, err = &user.User{Uid: id, Gid: strconv.Itoa(os.Getegid()), Username: id, HomeDir: "/"}, nil
		}
	} else {
		u, err = named(name)
	}
	if err != nil {
		return targets.Account{}, fmt.Errorf("look up the user that commands run as: %w; see local.run_as", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return targets.Account{}, fmt.Errorf("user %q has the id %q: %w", name, u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return targets.Account{}, fmt.Errorf("user %q has the group %q: %w", name, u.Gid, err)
	}
	a := targets.Account{Name: u.Username, UID: uint32(uid), GID: uint32(gid), Home: u.HomeDir, Shell: "/bin/sh"}
	groups, err := u.GroupIds()
	if err != nil {
		groups = []string{u.Gid} // without the group database there is the user's own
	}
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil {
			a.Groups = append(a.Groups, uint32(id))
		}
	}
	return a, nil
}

// named finds a user by name, or by a number, which need not have an entry.
func named(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	if id, e := strconv.ParseUint(name, 10, 32); e != nil || id == 1<<32-1 {
		return nil, err
	}
	if u, err = user.LookupId(name); err != nil {
		u, err = &user.User{Uid: name, Gid: name, Username: name, HomeDir: "/"}, nil
	}
	return u, err
}

func readUname() targets.Uname {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return targets.Uname{}
	}
	text := func(b []byte) string {
		s, _, _ := strings.Cut(string(b), "\x00")
		return s
	}
	return targets.Uname{
		Sysname: text(u.Sysname[:]), Nodename: text(u.Nodename[:]), Release: text(u.Release[:]),
		Version: text(u.Version[:]), Machine: text(u.Machine[:]),
	}
}

// Name returns "local".
func (l *Local) Name() string { return Name }

// Files is this host's file tree, read by the account's rights.
func (l *Local) Files() vfs.Source { return l.files }

// Inspect is the file tree as the gateway's own user sees it.
func (l *Local) Inspect() vfs.Source { return l.whole }

// Account is the user that commands run as.
func (l *Local) Account() targets.Account { return l.account }

// Uname describes this host's kernel.
func (l *Local) Uname() targets.Uname { return l.uname }

// Resolve finds an executable along targets.Path, or where a name with a slash says, seen from dir: as far as the account may
// know, and execute it.
func (l *Local) Resolve(_ context.Context, name, dir string) (found string, err error) {
	if refused := l.rights.Do(func() { found, err = resolve(name, dir) }); refused != nil {
		return "", refused
	}
	return found, err
}

func resolve(name, dir string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", syscall.ENOENT
	}
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, executable(name)
	}
	found := error(syscall.ENOENT)
	for _, d := range strings.Split(targets.Path, ":") {
		candidate := d + "/" + name
		err := executable(candidate)
		if err == nil {
			return candidate, nil
		}
		if errors.Is(err, syscall.EACCES) {
			found = err
		}
	}
	return "", found
}

func executable(name string) error {
	st, err := os.Stat(name)
	if err != nil {
		var e syscall.Errno
		if errors.As(err, &e) {
			return e
		}
		return syscall.ENOENT
	}
	if st.IsDir() || st.Mode()&0o111 == 0 || unix.Faccessat(unix.AT_FDCWD, name, unix.X_OK, unix.AT_EACCESS) != nil {
		return syscall.EACCES
	}
	return nil
}

// Start starts a command. ctx ends it and everything in its process group with SIGKILL.
func (l *Local) Start(ctx context.Context, c targets.Command) (targets.Process, error) {
	if !filepath.IsAbs(c.Path) || len(c.Argv) == 0 {
		return nil, syscall.EINVAL
	}
	err := error(nil)
	if refused := l.rights.Do(func() { err = directory(c.Dir) }); refused != nil || err != nil {
		return nil, cmp.Or(refused, err)
	}
	cmd := exec.Command(c.Path) // #nosec G204 -- running what was decided is what this package is for
	cmd.Args, cmd.Dir, cmd.Env = c.Argv, c.Dir, c.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // never the gateway's own
	}
	// A session of its own: no terminal of anybody's to type into, and a group to signal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if l.switchU {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: l.account.UID, Gid: l.account.GID, Groups: l.account.Groups}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if !l.admit() {
		return nil, syscall.EAGAIN
	}
	p, err := l.start(ctx, cmd, c)
	if err != nil {
		l.running.Add(-1)
	}
	return p, err
}

// admit counts a command, and reports false where more would leave the gateway too few threads.
func (l *Local) admit() bool {
	if int(l.running.Add(1)) > tasks.AllCommands() {
		l.running.Add(-1)
		return false
	}
	return true
}

// start starts a command that was counted.
func (l *Local) start(ctx context.Context, cmd *exec.Cmd, c targets.Command) (targets.Process, error) {
	w, err := wire(cmd, c)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{}), hidden: c.Hidden, gone: func() { l.running.Add(-1) }}
	start := (*process).start
	if c.ReadOnly && l.jail == nil {
		start = (*process).startJailed
	}
	err = start(p)
	w.started()
	if err != nil {
		w.cut()
		var e syscall.Errno
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	w.copy(c)
	go p.attend(ctx, w)
	return p, nil
}

func directory(dir string) error {
	if !filepath.IsAbs(dir) {
		return syscall.ENOENT
	}
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return syscall.ENOENT
	case err != nil:
		return syscall.EACCES
	case !st.IsDir():
		return syscall.ENOTDIR
	case unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS) != nil:
		return syscall.EACCES
	}
	return nil
}
