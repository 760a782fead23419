package ssh

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
)

// WallMode is what a configuration wants of the wall around commands that nobody was asked about.
type WallMode string

// The modes. Auto uses a wall where the target has the programs for one.
const (
	WallAuto     WallMode = "auto"
	WallRequired WallMode = "required"
	WallNone     WallMode = "none"
)

// WallOptions are what a configuration says of the wall.
type WallOptions struct {
	Mode WallMode // "" is WallAuto
	Hide []string // the patterns of the files that are hidden on the target, as vfs.NewPolicy takes them
}

// A mechanism is the program of a target that makes the wall.
type mechanism string

const (
	noMechanism mechanism = ""
	byBwrap     mechanism = "bwrap"
	byUnshare   mechanism = "unshare"
)

// wall is what the gateway knows of a target's wall. The zero value is none.
type wall struct {
	by   mechanism
	root bool   // of an account that needs no user namespace
	why  string // there is none: plain text, bounded
}

// errNoWall is wrapped by errors about commands that need a wall which is not there.
var errNoWall = errors.New("nothing holds it there")

// held reports whether the wall can hold a command without changing what that prints.
func (w wall) held(argv []string) (jail.Needs, error) {
	needs := jail.NeedsOf(argv)
	switch {
	case w.by == noMechanism:
		return needs, fmt.Errorf("%w: %s", errNoWall, w.why)
	case needs.Mounts:
		return needs, fmt.Errorf("%w: a wall made of mounts would change what it shows or does", errNoWall)
	case needs.Owners && !w.root:
		return needs, fmt.Errorf("%w: a user namespace would show it other owners", errNoWall)
	}
	return needs, nil
}

// Wall says whether commands that nobody was asked about run behind a wall on the target, and what it is or why there is
// none. Connect asks.
func (t *Target) Wall() (stands bool, what string) {
	t.mu.Lock()
	w, known := t.facts.wall, !t.facts.learned.IsZero()
	t.mu.Unlock()
	switch {
	case t.wall.Mode == WallNone:
		return false, "none, as the configuration says"
	case !known:
		return false, "not known before the first connection"
	case w.by == noMechanism:
		return false, w.why
	}
	what = string(w.by) + ": read-only, no network, hidden files masked, nothing outlives it"
	if !w.root {
		what += "; what shows owners runs without"
		if t.wall.Mode == WallRequired {
			what = strings.Replace(what, "runs without", "asks", 1)
		}
	}
	return true, what
}

// Unheld is why a command may not run unasked though the policy lets it: the configuration requires a wall, and none can hold
// it. It connects where that was not done yet.
func (t *Target) Unheld(ctx context.Context, argv []string) error {
	if t.wall.Mode != WallRequired {
		return nil
	}
	w, err := t.knownWall(ctx)
	if err == nil {
		_, err = w.held(argv)
	}
	return err
}

// knownWall connects where nobody did yet.
func (t *Target) knownWall(ctx context.Context) (wall, error) {
	t.mu.Lock()
	w, known := t.facts.wall, !t.facts.learned.IsZero()
	t.mu.Unlock()
	if known {
		return w, nil
	}
	if err := t.Connect(ctx); err != nil {
		return wall{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.facts.wall, nil
}

// around is what a command runs behind: nil for nothing. A command that needs a wall and has none is an error.
func (t *Target) around(ctx context.Context, c targets.Command) (*walled, error) {
	if !c.ReadOnly || t.wall.Mode == WallNone {
		return nil, nil
	}
	w, err := t.knownWall(ctx)
	if err != nil {
		return nil, err
	}
	needs, err := w.held(c.Argv)
	switch {
	case err != nil && t.wall.Mode == WallRequired:
		return nil, fmt.Errorf("the target %s: [remotes.%s] wall = \"required\": %w", t.Name(), t.Name(), err)
	case err != nil:
		return nil, nil
	}
	if strings.HasPrefix(c.Dir+"/", "/proc/") { // a relative name may lead through another process
		needs.Inside = false
	}
	return &walled{wall: w, needs: needs, hide: t.wall.Hide, home: t.Account().Home}, nil
}

// wallPatience is how long a trial of a wall may take.
const wallPatience = 10 * time.Second

// learnWall tries the mechanisms one after the other: the very wall, around a text of the gateway's own that looks whether it
// holds. What the target says is compared with what the gateway expects, and at most quoted.
func (t *Target) learnWall(ctx context.Context, a targets.Account) wall {
	if t.wall.Mode == WallNone {
		return wall{}
	}
	var why []string
	for _, by := range []mechanism{byBwrap, byUnshare} {
		w := wall{by: by, root: a.UID == 0}
		err := t.tryWall(ctx, a, w)
		if err == nil {
			return w
		}
		why = append(why, fmt.Sprintf("%s: %v", by, err))
	}
	return wall{why: strings.Join(why, "; ")}
}

// wallTrial looks whether a wall holds: that a file cannot be made where everybody may make one, and that the network has no
// route. $1 is a name that nobody else has, and what the answer is. A file that was made nevertheless is removed.
const wallTrial = `if (: > "/tmp/.shannot-wall-$1") 2>/dev/null; then rm -f "/tmp/.shannot-wall-$1"; echo "it does not keep files"; exit 1; fi
if [ -r /proc/net/route ] && { read -r a && read -r b; } < /proc/net/route; then echo "it does not keep the network away"; exit 1; fi
echo "$1"`

func (t *Target) tryWall(ctx context.Context, a targets.Account, w wall) error {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return err
	}
	mark := hex.EncodeToString(raw)
	around := &walled{wall: w, hide: t.wall.Hide, home: a.Home}
	text, err := line(targets.Command{
		Path: "/bin/sh", Argv: []string{"sh", "-c", wallTrial, "sh", mark}, Dir: "/", Env: []string{"PATH=" + targets.Path},
	}, a.Shell, mark, false, around)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wallPatience)
	defer cancel()
	s, release, err := t.pool.session(ctx)
	if err != nil {
		return err
	}
	defer release()
	defer func() { _ = s.Close() }()
	var stdout, stderr firstBytes
	s.Stdout, s.Stderr = &stdout, &stderr
	err = within(ctx, wallPatience, s, func() error { return s.Run(text) })
	if err == nil && word(lastLine(stdout.String())) == mark {
		return nil
	}
	said := word(lastLine(stdout.String() + stderr.String()))
	if said == "" {
		return fmt.Errorf("it gave no answer (%w)", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return fmt.Errorf("it said %q", said)
}

// lastLine is the last line that is not empty, without its end.
func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// walled is the wall around one command.
type walled struct {
	wall
	needs jail.Needs
	hide  []string // the patterns of hidden files, see vfs.NewPolicy
	home  string   // of the account
}

// Bounds of a command behind a wall. ulimit counts the first in KiB and the second in blocks of 512 bytes.
const (
	wallData      = 2 << 20
	wallFile      = 2 << 20
	wallTemporary = 256 << 20 // bytes of its temporary files in sum
	maxMasked     = 500       // hidden files that are there
)

// announce tells the process group once the wall stands, and becomes the command. Where it stays away, nothing has run.
const announce = `printf '%s %s\n' "$1" "$2" >&2; shift 2; exec "$@"`

// temporaryFiles is where a wall has a file system in memory, of the command's own.
const temporaryFiles = "/dev/shm"

// line is a text for /bin/sh that runs the words of a command behind the wall, with its standard error in its output where they
// are joined. Nothing but single-quoted words and texts of this package's own stand in it.
func (w *walled) line(dir, mark string, words []string, joined bool) string {
	var b strings.Builder
	announce := announce
	if joined {
		announce += " 2>&1"
	}
	b.WriteString("ulimit -d " + strconv.Itoa(wallData) + " 2>/dev/null; ulimit -f " + strconv.Itoa(wallFile) + " 2>/dev/null\n")
	b.WriteString(w.masks())
	switch w.by {
	case byBwrap:
		b.WriteString("exec /usr/bin/bwrap " + quoteAll(w.bwrap(dir)) + ` "$@" -- `)
	case byUnshare:
		b.WriteString("exec /usr/bin/setpriv --pdeathsig KILL /usr/bin/unshare " + quoteAll(w.unshare()) + " -- /bin/sh -c " + quote(w.setup(dir)) +
			` sh "$n" "$(id -u)" "$(id -g)" "$@" `)
	case noMechanism:
	}
	b.WriteString("/bin/sh -c " + quote(announce) + " sh " + mark + " $$ " + quoteAll(words))
	return b.String()
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

// masks is a text that makes the positional parameters of what is to be put over the hidden files that are there, and counts the
// parameters in $n. It ends the shell where there are too many.
func (w *walled) masks() string {
	if w.needs.Files {
		return "n=0; set --\n"
	}
	globs, finds := w.hiddenNames()
	file, dir := `set -- "$@" "$f"`, `set -- "$@" "$f"`
	if w.by == byBwrap { // the null device cannot be opened where it was bound so
		file, dir = `set -- "$@" --ro-bind /dev/null "$f"`, `set -- "$@" --perms 0000 --tmpfs "$f"`
	}
	mask := "; do case $f in //) echo 'a hidden file has the end of a line in its name' >&2; exit 126; esac\n[ -e \"$f\" ] || continue\n" +
		"if [ -h \"$f\" ]; then f=$(readlink -f -- \"$f\") || continue; fi\n" +
		"n=$((n+1)); [ $n -le " + strconv.Itoa(maxMasked) + " ] || { echo 'too many hidden files' >&2; exit 126; }\n" +
		"if [ -d \"$f\" ]; then " + dir + "; else " + file + "; fi; done"
	return "n=0; set --; IFS='\n'; for f in " + strings.Join(globs, " ") + mask + "\nset -f; for f in " + strings.Join(finds, " ") + mask + "; set +f; unset IFS\n"
}

// hiddenNames are the words of a shell that name the hidden files of a target: names in single quotes with stars between them, and
// substitutions that print one name a line, or "//" for a name of several lines. What is hidden wherever it is, is looked for in home
// directories; what is hidden below a directory, by find(1). Processes and devices are left out: they are the kernel's to refuse.
func (w *walled) hiddenNames() (globs, finds []string) {
	seen, below := map[string]bool{}, map[string][]string{}
	add := func(words ...string) {
		for _, word := range words {
			if !seen[word] {
				seen[word] = true
				globs = append(globs, word)
			}
		}
	}
	for _, pattern := range w.hide {
		above, name, deep := strings.Cut(pattern, "**/")
		virtual := strings.HasPrefix(pattern, "/proc/") || strings.HasPrefix(pattern, "/sys/")
		switch {
		case virtual || strings.Contains(name, "**") || strings.HasSuffix(pattern, "**"):
		case !deep:
			add(globbed(pattern)...)
		case above == "" || above == "/":
			for _, home := range []string{w.home, "/root", "/home/*"} {
				add(globbed(strings.TrimSuffix(home, "/") + "/" + name)...)
			}
		case strings.Contains(name, "/") || strings.Contains(above, "*"): // none of the usual ones
		default:
			below[above] = append(below[above], "-name "+quote(findName(name)))
		}
	}
	for _, above := range slices.Sorted(maps.Keys(below)) {
		finds = append(finds, "$(find "+quote(strings.TrimSuffix(above, "/"))+` -xdev \( `+strings.Join(below[above], " -o ")+
			` \) \( -path `+quote("*\n*")+` -exec /bin/sh -c 'echo //' \; -o -print \) 2>/dev/null)`)
	}
	return globs, finds
}

// globbed quotes all of a pattern but its stars. A star of a pattern is any name's beginning, and a star of a shell none with a dot:
// such names have words of their own.
func globbed(pattern string) []string {
	words := []string{""}
	for i, component := range strings.Split(pattern, "/") {
		forms := []string{starred(component)}
		if rest, ok := strings.CutPrefix(component, "*"); ok && rest == "" {
			forms = append(forms, ".[!.]*", "..?*")
		} else if ok {
			forms = append(forms, ".*"+starred(rest), starred(rest))
		}
		var longer []string
		for _, word := range words {
			for _, form := range forms {
				if i > 0 {
					form = "/" + form
				}
				longer = append(longer, word+form)
			}
		}
		words = longer
	}
	return words
}

// starred quotes all of a name's pattern but its stars.
func starred(name string) string {
	parts := strings.Split(name, "*")
	for i, part := range parts {
		if part != "" {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, "*")
}

// findName writes a name's pattern for find(1), to which more than the star has a meaning.
func findName(name string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `?`, `\?`).Replace(name)
}

// temporary reports whether the command has a place for temporary files.
func (w *walled) temporary() bool { return !w.needs.Devices && !w.needs.Space }

// bwrap are its arguments but for the masks.
func (w *walled) bwrap(dir string) []string {
	args := []string{"--die-with-parent", "--ro-bind", "/", "/"}
	if w.needs.Devices {
		args = append(args, "--dev-bind", "/dev", "/dev", "--ro-bind-try", "/dev/mqueue", "/dev/mqueue", "--ro-bind-try", "/dev/hugepages", "/dev/hugepages")
	} else { // a file that was bound read-only is no device any more, but for these
		for _, name := range strings.Fields(harmlessDevices) {
			args = append(args, "--dev-bind-try", "/dev/"+name, "/dev/"+name)
		}
	}
	if !w.temporary() {
		args = append(args, "--ro-bind-try", temporaryFiles, temporaryFiles)
	} else {
		args = append(args, "--size", strconv.Itoa(wallTemporary), "--perms", "1777", "--tmpfs", temporaryFiles)
	}
	for _, space := range w.spaces() {
		args = append(args, "--unshare-"+space)
	}
	if w.root {
		args = append(args, "--cap-drop", "ALL")
		for _, c := range w.capabilities() {
			args = append(args, "--cap-add", "cap_"+c)
		}
	}
	return append(args, "--chdir", dir)
}

// harmlessDevices are nobody's, and keep nothing.
const harmlessDevices = "null zero full random urandom tty"

// spaces are the namespaces that the command can have of its own.
func (w *walled) spaces() []string {
	var all []string
	for _, s := range []struct {
		shared bool
		name   string
	}{{w.needs.Network, "net"}, {w.needs.Processes, "pid"}, {w.needs.Queues, "ipc"}} {
		if !s.shared {
			all = append(all, s.name)
		}
	}
	return all
}

// capabilities are those of root that the command keeps, as in the jail of the gateway's own host.
func (w *walled) capabilities() []string {
	all := []string{"dac_read_search", "syslog"}
	if w.needs.Inside {
		all = append(all, "sys_ptrace")
	}
	if w.needs.Manages {
		all = append(all, "net_admin", "net_raw", "sys_admin", "sys_rawio")
	}
	return all
}

// unshare are its arguments.
func (w *walled) unshare() []string {
	args := []string{"--mount", "--fork", "--kill-child=KILL"}
	for _, space := range w.spaces() {
		args = append(args, "--"+space)
	}
	if !w.root {
		args = append(args, "--map-root-user")
	}
	return args
}

// setup is the text for /bin/sh that takes the rights away within new namespaces: it makes every mount read-only, without
// devices but those that are nobody's, puts the null device over the hidden files, and enters the directory, which may be below
// one of them by now. $1 is how many these are, $2 and
// $3 are the account's numbers, the files follow, and then the command. Any failure ends it before the command.
func (w *walled) setup(dir string) string {
	nodev, done := ",nodev", "|*:*,ro,*nodev*"
	devices := "for d in " + harmlessDevices + "; do [ ! -c /dev/$d ] || mount --bind /dev/$d /dev/$d || fail /dev/$d; done"
	if w.needs.Devices {
		nodev, done, devices = "", "|*:*,ro,*", ""
	}
	if !w.root { // a user namespace is made by writing there, and such an account can change nothing of others in it
		done += "|/proc:*"
	}
	temporary := ""
	if w.temporary() {
		temporary = "mount -t tmpfs -o nosuid,nodev,mode=1777,size=" + strconv.Itoa(wallTemporary) + " tmpfs " + temporaryFiles + " || fail " + temporaryFiles
	}
	become := "/usr/bin/setpriv --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all,+" + strings.Join(w.capabilities(), ",+")
	if !w.root { // the mounts belong to the namespace above that one
		become = `/usr/bin/setpriv --no-new-privs /usr/bin/unshare --user --map-user="$u" --map-group="$g"`
	}
	return `set -e; fail() { echo "the wall cannot be built: $1" >&2; exit 126; }
` + devices + `
while read -r from at kind flags rest; do case $at in *\\*) fail "$at"; esac
f=ro,bind,remount` + nodev + `; for o in nosuid nodev noexec noatime nodiratime relatime; do case ,$flags, in *,$o,*) f=$f,$o; esac; done
case $at:,$flags in /dev/null:*|/dev/zero:*|/dev/full:*|/dev/random:*|/dev/urandom:*|/dev/tty:*` + done + `) continue; esac
mount -o "$f" "$at" 2>/dev/null || [ ! -e "$at" ] || fail "$at"; done < /proc/self/mounts
` + temporary + `
n=$1; u=$2; g=$3; shift 3; while [ "$n" -gt 0 ]; do if [ -d "$1" ]; then mount -t tmpfs -o ro,size=0,mode=0 tmpfs "$1" || fail "$1"
else mount --bind /dev/null "$1" && mount -o remount,bind,ro,nodev "$1" || fail "$1"; fi; shift; n=$((n-1)); done
cd -- ` + quote(dir) + `
set +e; exec 3>&2 2>/dev/null; (exec ` + become + ` "$@" 2>&3 3>&-); exit $?`
}

// signalled reads the status that a wall gives for a program which a signal has ended, 0 for none. A shell gives the same for
// its own programs.
func signalled(argv []string, code int) syscall.Signal {
	if len(argv) == 3 && argv[1] == "-c" {
		return 0
	}
	for _, s := range signals {
		if int(s.number) == code-128 {
			return s.number
		}
	}
	return 0
}
