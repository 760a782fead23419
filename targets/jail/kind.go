package jail

import (
	"path"
	"regexp"
	"strings"
)

// kind is a jail by what its commands need to do their reading. Every kind refuses what the filter refuses always.
type kind int

const (
	// plain has Landlock: no write but to /dev/null, no TCP.
	plain kind = iota
	// observer is for commands that look into other processes. Landlock forbids that to whom it restricts, reading
	// included (ptrace(2), "Ptrace access mode checking"). So the filter holds each open for writing, and the gateway
	// answers it: with /dev/null, or with EACCES.
	observer
	// caller is plain, with TCP connections: what its commands read is at the other end of one.
	caller
	// tester is for the configuration test of nginx, which opens the logs for appending, binds the addresses and makes
	// the directories of the configuration as the start would (nginx(8)). It has neither wall against writes.
	tester
	// inspector is plain, with internet sockets that connect to nowhere: what interfaces are set to is asked by them.
	inspector
	// manager is plain, with the capabilities by which the kernel shows its tables of the network, and disks: to one command
	// alone, whose words the policy knows, never to a text.
	manager
)

// held is a bit beside the kind: each file that is opened for reading is looked up among the hidden ones.
const held kind = 1 << 8

// base is the kind without what stands beside it.
func (k kind) base() kind { return k &^ held }

var (
	observers = words("fuser lslocks lsns lsof netstat pmap pwdx ss")
	callers   = words(`docker kubectl oc podman nerdctl crictl helm aws gcloud az psql pg_isready mysqladmin mysqlshow redis-cli mongostat
		mongotop rabbitmqctl rabbitmq-diagnostics etcdctl ntpq ntpstat chronyc consul nomad varnishadm`)
	inspectors = words("arp bridge ethtool ifconfig ip iwconfig iwgetid iw mii-tool brctl nameif route tc")
	managers   = words(`arptables ebtables conntrack ip6tables ip6tables-legacy ip6tables-legacy-save ip6tables-nft ip6tables-nft-save ip6tables-save
		ipset iptables iptables-legacy iptables-legacy-save iptables-nft iptables-nft-save iptables-save ipvsadm nft wg
		btrfs dmsetup hdparm lvdisplay lvs mdadm multipath nvme pvdisplay pvs smartctl vgdisplay vgs zfs zpool`)
	// askers ask disks how large they are, by ioctl(2) of a descriptor that cannot write. Without root's capabilities nothing that
	// changes a disk is answered.
	askers = words("blkid blockdev cfdisk fdisk hwclock losetup lsblk parted sfdisk swaplabel")
	// carriers run the command in their words.
	carriers = words("command env exec ionice nice stdbuf sudo time timeout xargs")
	// nginxTest is a whole command, never a part of one: a text that does more than test has the plain jail.
	nginxTest = regexp.MustCompile(`^(/usr/sbin/)?nginx( -[tTq]+)+( 2>&1)?$`)
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// kindOf says which jail a command gets, by the programs that it starts: the first word of a command, and what follows a word
// like timeout. It looks at a shell's text as a text: quotes do not hide a program's name. So a text can choose between
// plain, observer, inspector and caller, none of which lets it write to the host or signal it.
func kindOf(argv []string) kind {
	line, text := strings.Join(argv, " "), false
	if len(argv) == 3 && argv[1] == "-c" {
		line, text = argv[2], true
	}
	if nginxTest.MatchString(line) {
		return tester
	}
	if !text && len(argv) > 0 && managers[path.Base(argv[0])] {
		return manager
	}
	found := plain
	for _, name := range started(line, argv, text) {
		switch {
		case strings.HasPrefix(name, "/proc/"), observers[name]:
			return observer
		case callers[name]:
			found = caller
		case inspectors[name] && found == plain:
			found = inspector
		}
	}
	return found
}

// asksDevices reports whether a command, alone on its line, asks devices by ioctl(2).
func asksDevices(k kind, argv []string) bool {
	return k == manager || len(argv) > 0 && askers[path.Base(argv[0])]
}

// started lists what a command starts, in order: the names of programs without their directories, and each word that names a
// file in /proc/ as it is.
func started(line string, argv []string, text bool) (names []string) {
	words := argv
	if text {
		words = strings.FieldsFunc(separators.ReplaceAllString(line, " ; "), func(r rune) bool { return strings.ContainsRune(" \t<>\"'", r) })
	}
	starts := true
	for _, word := range words {
		if strings.HasPrefix(word, "/proc/") {
			names = append(names, word)
			continue
		}
		switch name := path.Base(word); {
		case text && word == ";", word == "-exec", word == "-execdir", word == "do", word == "then", word == "else":
			starts = true
		case !starts || word == "" || carriers[name] || word[0] == '-' || word[0] >= '0' && word[0] <= '9' || strings.Contains(word, "="):
		default:
			names = append(names, name)
			starts = false
		}
	}
	return names
}

// separators are what stands between the commands of a text.
var separators = regexp.MustCompile("[\n;|&(){}`!]+")

// keepers are programs that read hidden files for what they do, and show of those names, numbers or settings alone.
var keepers = words(`aa-status apache2 apparmor_status aws az bootctl busctl chage coredumpctl dmidecode docker doveconf dovecot efibootmgr
	exim exim4 faillock fuser gcloud grpck haproxy helm hostnamectl httpd journalctl kubectl localectl loginctl lscpu lshw
	lslocks lslogins lsmem lsns lsof lspci lsusb machinectl mokutil mysqladmin mysqlshow named-checkconf needrestart networkctl
	netstat nginx numastat oc passwd pmap podman postconf ps psql pwck redis-cli resolvectl slaptest smbstatus squid ss ssh-keygen sshd
	systemctl systemd-cgls systemd-cgtop systemd-detect-virt systemd-path timedatectl top unbound-checkconf virt-what wg`)

// keeps reports whether the executable of a process is one of them, where packages put it.
func keeps(executable string) bool {
	dir, name := path.Split(executable)
	switch dir {
	case "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/":
		return keepers[name]
	}
	return false
}
