package policy

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"shannot-gateway/vfs"
)

// DefaultProfile is what runs unattended without a configuration: programs that only look at the host. It leaves out
// programs that reach the network, a container engine, a cluster or a repository with hooks of its own, even where the
// package knows how they read.
func DefaultProfile() Profile {
	return Profile{
		AutoApprove: strings.Fields(`
			apt apt-cache apt-mark arch arp awk b2sum base32 base64 basename basenc bc bridge bzcat cal cat cksum cmp column
			comm crontab cut date df diff dircolors dirname dmesg dpkg dpkg-query du echo egrep env ethtool expand expr factor
			false fgrep file find findmnt fmt fold free gawk getcap getconf getenforce getent getfacl getfattr grep groups
			head hexdump hd hostname hostnamectl id ifconfig iostat ip ipcs join journalctl jq last lastb lastlog locale
			localectl loginctl logname look losetup ls lsattr lsb_release lsblk lscpu lsipc lslocks lslogins lsmem lsmod
			lsns lsof lspci lsusb mawk md5sum modinfo mount mpstat namei netstat networkctl nginx nl nmcli nproc numfmt od
			openssl paste pathchk pgrep pidof pidstat pmap pr printenv printf prlimit ps pstree ptx pwd pwdx readlink
			realpath resolvectl rev rg route rpm sar sed seq sestatus sha1sum sha224sum sha256sum sha384sum sha512sum sleep
			snap sort ss stat strings sum swapon sysctl systemctl systemd-analyze systemd-cgls systemd-cgtop
			systemd-detect-virt systemd-path tac tail tc test timedatectl top tr tree true tsort tty uname unexpand uniq uptime
			users vmstat w wc whereis which who whoami xxd xzcat zcat zdump zramctl` + diagnosis),
		AlwaysDeny: []string{"rm -rf /", ":(){ :|:& };:"},
		Hide:       vfs.DefaultHide(),
	}
}

// diagnosis are further programs of the default list, by kinds: storage, network, time, services, packed logs, hardware,
// packages, users, the kernel.
const diagnosis = `
	numastat lsscsi tload cpuid uuidparse nfsiostat cifsiostat tapestat zgrep zegrep zfgrep xzgrep xzegrep xzfgrep bzgrep
	bzegrep bzfgrep zstdgrep zcmp xzcmp bzcmp zdiff xzdiff bzdiff lzcat zipinfo dfc shasum crc32 nstat lnstat ifstat hostid
	runlevel lastcomm mountpoint slabtop fuser cpupower perf turbostat uclampset choom sadf iptables ip6tables iptables-legacy
	ip6tables-legacy iptables-nft ip6tables-nft iptables-save ip6tables-save iptables-legacy-save iptables-nft-save
	ip6tables-nft-save ebtables arptables nft firewall-cmd ufw conntrack ipset ipvsadm wg iwconfig iwgetid iw mii-tool brctl
	ovs-vsctl lldpctl nfsstat exportfs smbstatus testparm chronyc ntpq ntpstat adjtimex hwclock lvs pvs vgs lvdisplay
	pvdisplay vgdisplay lvscan pvscan vgscan lvmdiskscan lvm dmsetup multipath multipathd blkid fdisk sfdisk gdisk sgdisk
	parted partx mdadm smartctl nvme hdparm xfs_info dumpe2fs tune2fs e2label findfs btrfs zfs zpool quota repquota quotastats
	cryptsetup iscsiadm gluster storcli storcli64 perccli megacli MegaCli64 ssacli hpssacli arcconf sensors dmidecode lshw
	ipmitool nvidia-smi rocm-smi udevadm kmod modprobe dkms kdumpctl kdump-config coredumpctl tuned-adm efibootmgr mokutil
	grubby grub-editenv grub2-editenv needrestart virt-what virt-host-validate aa-status apparmor_status auditctl ausearch
	aureport semodule semanage getsebool matchpathcon seinfo sesearch fail2ban-client faillock pwck grpck chage passwd lid
	members lastlog2 ac sa atq at anacron run-parts apt-config apt-file debsums apt-get flatpak zypper apk pacman pip pip3
	apache2ctl apachectl httpd apache2 named-checkconf named-checkzone unbound-checkconf nsd-checkconf postconf postqueue
	mailq qshape pflogsumm exim exim4 exiqgrep doveconf doveadm haproxy varnishd varnishadm varnishstat squid lighttpd php-fpm
	php-fpm8.2 php-fpm8.3 php-fpm8.1 php-fpm7.4 sshd ssh-keygen ssh slaptest klist realm sssctl supervisorctl crm_mon pcs
	keepalived logrotate rsyslogd syslog-ng promtool nagios busctl machinectl oomctl portablectl homectl bootctl systemd-delta
	systemd-resolve systemd-escape service rc-status rc-update chkconfig initctl sv tar unzip zip gzip bzip2 xz zstd lz4 cpio
	ar readelf nm objdump size ldconfig iconv xmllint shuf locate tput stty openvpn debconf-show virsh visudo dnf yum rtacct`

//go:embed table.toml
var tableText string

//go:embed diagnosis.toml
var diagnosisText string

//go:embed packs.toml
var packsText string

// table is what the package knows of programs.
type table struct {
	programs map[string]*grammar
	versions map[string]map[string]bool // program → the flags that only say its version
	packs    map[string][]string        // pack → its programs
}

// document is the form of the table's text.
type document struct {
	Any      string             `toml:"any"`
	Names    string             `toml:"names"`
	Builtins string             `toml:"builtins"`
	Versions map[string]string  `toml:"versions"`
	Programs map[string]builtin `toml:"programs"`
	Packs    map[string]string  `toml:"packs"`
}

// builtin is a row that may be a part of the shell, which no list needs to name.
type builtin struct {
	Program
	Builtin bool `toml:"builtin"`
}

// builtinTable reads the table once. Its text is a part of the program: what is wrong with it is found by any test.
var builtinTable = sync.OnceValue(func() *table {
	t, err := readTable(tableText, diagnosisText, packsText)
	if err != nil {
		panic("the table of programs: " + err.Error())
	}
	return t
})

// readTable makes grammars of texts.
func readTable(texts ...string) (*table, error) {
	t := &table{programs: map[string]*grammar{}, versions: map[string]map[string]bool{}, packs: map[string][]string{}}
	var failed []error
	for _, text := range texts {
		failed = append(failed, t.read(text))
	}
	maps.Copy(t.programs, languages())
	return t, errors.Join(failed...)
}

// read adds a text.
func (t *table) read(text string) error {
	var d document
	if err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(&d); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	before := make(map[string]bool, len(t.programs)) // of other texts; within the lists, the later counts
	for name := range t.programs {
		before[name] = true
	}
	var failed []error
	for name, programs := range d.Packs {
		t.packs[name] = strings.Fields(programs)
	}
	for _, list := range []struct {
		names string
		g     grammar
	}{{d.Any, grammar{any: true}}, {d.Names, grammar{any: true, names: true}}, {d.Builtins, grammar{any: true, names: true, builtin: true}}} {
		for _, name := range strings.Fields(list.names) {
			if before[name] {
				failed = append(failed, fmt.Errorf("the program %s %w", name, errTwice))
			}
			g := list.g
			t.programs[name] = &g
		}
	}
	for names, row := range d.Programs {
		g, err := row.compile("", nil, 0)
		if err != nil {
			failed = append(failed, fmt.Errorf("programs.%s: %w", names, err))
			continue
		}
		g.builtin = row.Builtin
		for _, name := range strings.Fields(names) {
			if _, ok := t.programs[name]; ok {
				failed = append(failed, fmt.Errorf("the program %s %w", name, errTwice))
			}
			t.programs[name] = g
		}
	}
	for flag, names := range d.Versions {
		for _, name := range strings.Fields(names) {
			if t.versions[name] == nil {
				t.versions[name] = map[string]bool{}
			}
			t.versions[name][flag] = true
		}
	}
	return errors.Join(failed...)
}

// languages are the programs with a language of their own, and a judge for it.
func languages() map[string]*grammar {
	g := map[string]*grammar{}
	for name, run := range map[string]func(*call, string, []arg) Decision{
		"awk": judgeAwk, "gawk": judgeAwk, "mawk": judgeAwk, "sed": judgeSed, "find": judgeFind,
	} {
		g[name] = &grammar{run: run, names: name == "find"}
	}
	for name, run := range map[string]func(*call, string, []arg) Decision{"printf": judgePrintf, "test": judgeTest, "[": judgeTest} {
		g[name] = &grammar{run: run, names: true, builtin: true}
	}
	return g
}

// checkProgramName refuses a user's row for a program that the package must judge by its own means.
func checkProgramName(name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "/ \t\n\x00") || name[0] == '-':
		return fmt.Errorf("%q is not the name of a program; a row is for a name, wherever in the system's directories it is", name)
	case starters[name] != nil:
		return fmt.Errorf("%s runs text or scripts, which no row can describe", name)
	case wrapperNamed(name):
		return fmt.Errorf("%s runs the command in its words, which is judged by itself", name)
	}
	if g, ok := builtinTable().programs[name]; ok && (g.run != nil || g.builtin) {
		return fmt.Errorf("%s has a language of its own, or is a part of the shell, and is judged as such", name)
	}
	return nil
}

func wrapperNamed(name string) bool {
	_, ok := wrappers[name]
	return ok
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isVariable(s string) bool {
	return isName(s) && strings.ToLower(s) == s
}

// isName reports whether s is a shell variable's name.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
