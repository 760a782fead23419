package jail

import (
	"path"
	"regexp"
	"strings"
)

// Needs says what of its host a command must see as it is, so that it prints there what it prints without a wall. It is for walls
// that are made of namespaces, on hosts where this package cannot run.
type Needs struct {
	Network   bool // the host's interfaces, routes and sockets
	Processes bool // the process numbers of the host, its own among them
	Devices   bool // all of /dev
	Queues    bool // System V IPC
	Mounts    bool // the table of mounts as it is, or writing: nothing made of mounts can hold it
	Owners    bool // the owners of files and processes, which a user namespace shows as nobody
	Inside    bool // other processes' open files, directories and executables
	Manages   bool // the kernel's tables of networks and disks, which it shows to those who may change them
	Space     bool // the sizes of all file systems, none added
	Files     bool // the hidden files: it does its work with them, and shows names, numbers and settings alone
}

var (
	// counters show the network's state without being among those that need a socket.
	counters  = words("firewall-cmd hostname ifstat networkctl nstat sar sysctl ufw")
	numberers = words("htop jobs pgrep pidof pidstat pstree top")
	disks     = words("blkid fdisk losetup parted sfdisk swapon")
	queues    = words("ipcs lsipc")
	mounters  = words("findmnt lsns mount nginx")
	owners    = words("crontab find getfacl git groups htop id namei ps ssh stat tar top tree")
	naming    = words("basename df dirname du find ls namei readlink realpath stat test tree [")
	ownNumber = regexp.MustCompile(`\$(\$|!|PPID|BASHPID|\{(PPID|BASHPID|[$!]))`)
	// behind matches a command of a text that is left in the background.
	behind  = regexp.MustCompile(`(^|[^&<>])&($|[^&>])`)
	mounted = regexp.MustCompile(`/proc/\S*mount|/etc/mtab`)
	device  = regexp.MustCompile(`(^|[\s"'=<>])/dev\b/?(\w*)`)
	plainly = words("null zero full random urandom tty stdin stdout stderr fd")
	// longList matches flags of ls(1) that show owners.
	longList = regexp.MustCompile(`(^|\s)(-[a-zA-Z1]*[gnlo]|--(format|full|numeric|author))`)
)

// NeedsOf looks at the words of a command as the jail of this host does when it picks a kind.
func NeedsOf(argv []string) Needs {
	line, text := strings.Join(argv, " "), false
	if len(argv) == 3 && argv[1] == "-c" {
		line, text = argv[2], true
	}
	n := Needs{Mounts: mounted.MatchString(line), Processes: ownNumber.MatchString(line)}
	for _, m := range device.FindAllStringSubmatch(line, -1) {
		n.Devices = n.Devices || m[2] != "" && !plainly[m[2]]
	}
	for i, name := range started(line, argv, text) {
		if strings.HasPrefix(name, "/proc/") {
			n.Network, n.Processes, n.Owners = true, true, true
			n.Inside = n.Inside || !strings.Contains(line, "environ")
			continue
		}
		n.add(name)
		n.Owners = n.Owners || name == "ls" && longList.MatchString(line)
		n.Files = n.Files || i == 0 && !text && (keepers[name] || naming[name] && !runsOthers(argv))
	}
	n.Inside = n.Inside && !throughOthers(line, text)
	n.Manages = !text && len(argv) > 0 && managers[path.Base(argv[0])]
	if text && behind.MatchString(line) {
		n.Processes = false // what it leaves running must end with it
	}
	return n
}

// throughOthers reports whether a command may open files by way of another process's root, directory or descriptors, which no mask
// in its own mounts covers. Of a text that could make up such a name it is taken for granted.
func throughOthers(line string, text bool) bool {
	for _, word := range processWord.FindAllString(line, -1) {
		if !insideWord.MatchString(word) {
			return true
		}
	}
	if upwards.MatchString(line) {
		return true
	}
	return text && (strings.Contains(systemWord.ReplaceAllString(processWord.ReplaceAllString(line, ""), ""), "proc") || makesNames.MatchString(line))
}

var (
	// processWord matches what a command names below a process's directory, or below all of them.
	processWord = regexp.MustCompile(`/proc(/+(\.{1,2}|self|thread-self|[^a-z\s"';|&<>)}][^\s"';|&<>)}/]*)(/[^\s"';|&<>)}]*)?|/*($|[\s"';|&<>)}]))`)
	// insideWord matches a file there that leads nowhere else.
	insideWord = regexp.MustCompile(`\A/proc/(self|thread-self|[0-9]+)/(auxv|cgroup|cmdline|comm|environ|exe|io|limits|maps|mountinfo|numa_maps|oom_score|oom_score_adj|` +
		`personality|sched|schedstat|smaps|smaps_rollup|stack|stat|statm|status|syscall|timers|wchan)\z`)
	upwards = regexp.MustCompile(`/proc/\S*\.\.`)
	// systemWord matches a file of /proc that is of no process.
	systemWord = regexp.MustCompile(`/proc/[a-z][a-z0-9_/-]*`)
	// makesNames matches what makes a word, a directory or an argument of a text of something that does not stand there.
	makesNames = regexp.MustCompile("[*?\\[`\\\\]|\\$[A-Za-z_{(@*]|/(root|cwd)\\b|\\b(cd|pushd|xargs|find|read|eval|source)\\b")
)

// add adds what one program needs.
func (n *Needs) add(name string) {
	watches := observers[name]
	n.Network = n.Network || watches || callers[name] || inspectors[name] || managers[name] || counters[name]
	n.Inside = n.Inside || watches
	n.Processes = n.Processes || watches || numberers[name]
	n.Devices = n.Devices || managers[name] || disks[name]
	n.Queues = n.Queues || queues[name]
	n.Mounts = n.Mounts || mounters[name]
	n.Owners = n.Owners || watches || owners[name]
	n.Space = n.Space || name == "df"
}

// runsOthers reports whether a find(1) starts programs.
func runsOthers(argv []string) bool {
	for _, word := range argv {
		if strings.HasPrefix(word, "-exec") || strings.HasPrefix(word, "-ok") {
			return true
		}
	}
	return path.Base(argv[0]) == "du" && strings.Contains(strings.Join(argv, " "), "from")
}
