package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sftp"
)

// facts are what the gateway knows of a target's account and kernel.
type facts struct {
	learned time.Time // zero before the first connection
	account targets.Account
	uname   targets.Uname
	wall    wall
}

// Bounds of what is read to learn the facts, in bytes.
const (
	maxDatabase = 4 << 20 // /etc/passwd, /etc/group
	maxFact     = 4 << 10
)

// learn reads the facts over SFTP, and asks a command where that does not tell.
func (t *Target) learn(ctx context.Context, r *relay) (facts, error) {
	var f facts
	home, err := r.Realpath(ctx, ".")
	if err != nil {
		return f, err
	}
	texts := readAll(ctx, r.Client, map[string]int{
		"/etc/passwd": maxDatabase, "/etc/group": maxDatabase,
		kernel + "ostype": maxFact, kernel + "hostname": maxFact, kernel + "osrelease": maxFact, kernel + "version": maxFact, kernel + "arch": maxFact,
	})
	f.uname = targets.Uname{
		Sysname: texts[kernel+"ostype"], Nodename: texts[kernel+"hostname"], Release: texts[kernel+"osrelease"],
		Version: texts[kernel+"version"], Machine: texts[kernel+"arch"],
	}
	for _, text := range []*string{&f.uname.Sysname, &f.uname.Nodename, &f.uname.Release, &f.uname.Version, &f.uname.Machine} {
		*text = word(*text)
	}
	user := t.last().User
	account, ok := findAccount(texts["/etc/passwd"], texts["/etc/group"], user)
	if !ok || f.uname.Machine == "" || f.uname.Sysname == "" {
		t.askCommand(ctx, user, &account, &f.uname)
	}
	if account.Name == "" {
		account.UID, account.GID = nobody, nobody
	}
	account.Name = user
	if !path.IsAbs(account.Home) || strings.ContainsAny(account.Home, "\x00\n") {
		account.Home = "/"
		if path.IsAbs(home) && !strings.ContainsAny(home, "\x00\n") && len(home) < 4096 {
			account.Home = path.Clean(home)
		}
	}
	f.account = account
	f.wall = t.learnWall(ctx, account)
	return f, nil
}

// nobody is the overflow user id of Linux: that of an account whose own is not known.
const nobody = 65534

// kernel is where Linux tells what uname(2) says.
const kernel = "/proc/sys/kernel/"

// word is a line that a target said, bounded, and without what a terminal would obey.
func word(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text[:min(len(text), 256)])
}

// readAll reads files at the same time. What cannot be read is missing.
func readAll(ctx context.Context, c *sftp.Client, limits map[string]int) map[string]string {
	var mu sync.Mutex
	var wait sync.WaitGroup
	out := map[string]string{}
	for name, limit := range limits {
		wait.Go(func() {
			h, err := c.Open(ctx, name, sftp.OpenRead, 0)
			if err != nil {
				return
			}
			defer c.Forget(h)
			text, err := readToEnd(ctx, c, h, limit)
			if err != nil {
				return
			}
			mu.Lock()
			out[name] = string(text)
			mu.Unlock()
		})
	}
	wait.Wait()
	return out
}

// readToEnd reads an open file of at most limit bytes.
func readToEnd(ctx context.Context, c *sftp.Client, h sftp.Handle, limit int) ([]byte, error) {
	var out []byte
	for {
		data, err := c.StartRead(ctx, h, int64(len(out)), sftp.MaxRead).Wait(ctx)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if out = append(out, data...); len(out) > limit {
			return nil, errTooLarge
		}
	}
}

var errTooLarge = errors.New("it is too large")

// findAccount looks a user up in passwd(5) and group(5).
func findAccount(passwd, group, user string) (targets.Account, bool) {
	for line := range strings.Lines(passwd) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 7 || fields[0] != user {
			continue
		}
		uid, err1 := strconv.ParseUint(fields[2], 10, 32)
		gid, err2 := strconv.ParseUint(fields[3], 10, 32)
		if err1 != nil || err2 != nil {
			return targets.Account{}, false
		}
		a := targets.Account{Name: user, UID: uint32(uid), GID: uint32(gid), Home: fields[5], Shell: word(fields[6])}
		a.Groups = append(groupsOf(group, user), a.GID)
		return a, true
	}
	return targets.Account{}, false
}

// maxGroups is how many groups of an account are kept.
const maxGroups = 1024

func groupsOf(group, user string) (ids []uint32) {
	for line := range strings.Lines(group) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 4 || len(ids) >= maxGroups {
			continue
		}
		for _, member := range strings.Split(fields[3], ",") {
			if id, err := strconv.ParseUint(fields[2], 10, 32); member == user && err == nil {
				ids = append(ids, uint32(id))
			}
		}
	}
	return ids
}

// askingCommand is fixed, reads only, and is the gateway's own question: no agent has a part in it. Its last line goes the way
// of commands, and tells whether the login shell understands that.
var askingCommand = "uname -s; uname -n; uname -r; uname -v; uname -m; id -u; id -g; id -G; " + throughSh("printf '%s\\n' '"+shellProbe+"'")

// shellProbe has what shells read differently.
const shellProbe = `a\\b!c$$d`

// askCommand fills in what SFTP did not tell. A target without commands leaves it out.
func (t *Target) askCommand(ctx context.Context, user string, a *targets.Account, u *targets.Uname) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, release, err := t.pool.session(ctx)
	if err != nil {
		return
	}
	defer release()
	defer func() { _ = s.Close() }()
	var out bytes.Buffer
	s.Stdout = &limitedBuffer{&out, maxFact}
	if err := within(ctx, 10*time.Second, s, func() error { return s.Run(askingCommand) }); err != nil {
		return
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) < 9 {
		return
	}
	if lines[8] != shellProbe && a.Shell == "" {
		a.Shell = "unknown"
	}
	for i, field := range []*string{&u.Sysname, &u.Nodename, &u.Release, &u.Version, &u.Machine} {
		if *field == "" {
			*field = word(lines[i])
		}
	}
	uid, err1 := strconv.ParseUint(lines[5], 10, 32)
	gid, err2 := strconv.ParseUint(lines[6], 10, 32)
	if a.Name != "" || err1 != nil || err2 != nil {
		return
	}
	a.Name, a.UID, a.GID = user, uint32(uid), uint32(gid)
	for _, g := range strings.Fields(lines[7]) {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil && len(a.Groups) < maxGroups {
			a.Groups = append(a.Groups, uint32(id))
		}
	}
}

// limitedBuffer takes so many bytes and then refuses.
type limitedBuffer struct {
	*bytes.Buffer
	limit int
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}
