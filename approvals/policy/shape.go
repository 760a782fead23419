package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"shannot-gateway/approvals/render"
)

// varied are the programs that do nothing with a number or a name in their words but what their manual pages say of it: none of
// them starts a program that a word names, or takes a file that a word names for a program, a configuration or a module. The list
// names what is known, since nobody can list all that runs others.
var varied = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`
		b2sum base32 base64 basename cat chattr chcon chgrp chmod chown cksum cmp comm cp cut date df dirname du echo expr factor
		false file fold getfacl getfattr groups hd head hexdump id join link ln ls lsattr md5sum mkdir mkfifo mknod mktemp mv namei
		nl nproc od paste pwd readlink realpath rm rmdir seq setfacl sha1sum sha224sum sha256sum sha384sum sha512sum shred
		shuf sleep stat strings sum sync tac tail tee touch tr true truncate uname uniq unlink wc xxd

		bunzip2 bzcat bzip2 gunzip gzip unxz unzip xz xzcat zcat
		cal free getent hostname iostat last lastlog logger lsblk lscpu lsmod lsof lspci lsusb mpstat pidstat uptime vmstat w who whoami
		kill killall pgrep pidof pkill ps pstree renice
		chkconfig hostnamectl hwclock initctl journalctl localectl loginctl rc-service rc-update service supervisorctl sv systemctl timedatectl
		addgroup chage chfn chsh delgroup deluser gpasswd groupadd groupdel groupmod passwd userdel usermod
		arp conntrack dig ethtool firewall-cmd host ifconfig ip6tables iptables nft nmcli nslookup ping ping6 resolvectl route traceroute ufw
		blkdiscard blkid fstrim hdparm lvcreate lvextend lvremove lvrename lvs mke2fs mkfs.btrfs mkfs.ext2 mkfs.ext3 mkfs.ext4
		mkfs.vfat mkfs.xfs mkswap pvcreate pvremove pvs resize2fs smartctl swapoff swapon tune2fs umount vgcreate vgremove vgs wipefs
		xfs_growfs zfs
		apt-mark createdb createuser dropdb dropuser restorecon setenforce setsebool sysctl
		a2disconf a2dissite a2enconf a2ensite pg_dump mysqldump postqueue postsuper
		`) {
		m[name] = true
	}
	return m
}()

// starting are words of programs in varied that name a program, a module, or a configuration or directory that names one: with one of
// them nothing varies.
var starting = func() map[string]*regexp.Regexp {
	m := map[string]*regexp.Regexp{}
	for names, words := range map[string]string{ // #nosec G101 -- names of programs
		"iptables ip6tables": `-[A-Za-z]*M|--mod`,
		"apt-mark":           `-[A-Za-z]*[oc]|--o|--c`,
		"mysqldump":          `--pl|--def|--login`,
		"zfs":                `program\z`,
		"addgroup chage chfn chsh delgroup deluser gpasswd groupadd groupdel groupmod passwd userdel usermod": `-[A-Za-z]*[RP]|--ro|--pre|--conf`,
		"postqueue postsuper supervisorctl": `-[A-Za-z]*c|--conf`,
	} {
		for _, name := range strings.Fields(names) {
			m[name] = regexp.MustCompile(`\A(?:` + words + `)`)
		}
	}
	return m
}()

// VariedWords says why none of the words after the name of a program that Varied lets vary must be others, "" where they may.
func VariedWords(name string, words []string) (why string) {
	if r := starting[path.Base(name)]; r != nil {
		if at := slices.IndexFunc(words, r.MatchString); at >= 0 {
			return fmt.Sprintf("%s takes what it runs from %s", render.Line(path.Base(name)), render.Line(words[at]))
		}
	}
	return ""
}

// system are the directories that a program of a list is the one of that name in: only root writes there.
var system = strings.Fields("/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin")

// edition is what tells several versions of one program apart: python3.11, gawk-5.1, x86_64-linux-gnu-gdb, vim.basic.
var edition = regexp.MustCompile(`\A(?:[a-z0-9_]+-linux-(?:gnu|musl)[a-z0-9]*-)?([A-Za-z_+]+?)(?:[-._]?[0-9][0-9.]*[a-z]?|\.[a-z]+)?\z`)

// multicall are programs that are whichever of their programs the first word of argv names.
var multicall = strings.Fields("busybox toybox coreutils toolbox single-binary")

// Varied says why the words of a program must not be others without a human, "" where they may: it may run what they say, or is not
// known well enough. A program is named by its absolute path, with argv[0], and with the names of the links on the way to the file,
// where it is one.
func Varied(file, argv0 string, links ...string) (why string) {
	name := path.Base(file)
	switch {
	case RunsOthers(name) || runsOthersOfAnyEdition(name):
		return fmt.Sprintf("%s runs what is in its words", render.Line(name))
	case !varied[name]:
		return fmt.Sprintf("the gateway does not know that %s never runs what is in its words", render.Line(name))
	case path.Base(argv0) != name:
		return fmt.Sprintf("%s is told to be %s", render.Line(name), render.Line(argv0))
	case !slices.Contains(system, path.Dir(file)):
		return fmt.Sprintf("%s is not the %s of a system directory, and may be any program", render.Line(file), render.Line(name))
	}
	for _, l := range links {
		to := path.Base(l)
		if !slices.Contains(multicall, to) && (RunsOthers(to) || runsOthersOfAnyEdition(to)) {
			return fmt.Sprintf("%s is a link to %s, which runs what is in its words", render.Line(name), render.Line(l))
		}
	}
	return ""
}

// runsOthersOfAnyEdition is RunsOthers for a name with a version in it.
func runsOthersOfAnyEdition(name string) bool {
	m := edition.FindStringSubmatch(name)
	return m != nil && (RunsOthers(m[1]) || RunsOthers(m[1]+"3"))
}

// plainWord is a word that every shell takes as it stands.
var plainWord = regexp.MustCompile(`\A[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*\z`)

// maxPlain is how long a plain line may be, in bytes.
const maxPlain = 4096

// PlainWords are the words of shell text that is one program and its words and nothing else: no quote, no character that a shell
// expands, no assignment. nil for any other text.
func PlainWords(text string) []string {
	if len(text) > maxPlain || strings.ContainsAny(text, "\n\r") {
		return nil
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
	for i, w := range words {
		if !plainWord.MatchString(w) || i == 0 && strings.Contains(w, "=") {
			return nil
		}
	}
	return words
}
