package policy

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// protected are the directories whose recursive removal ends a host or a home.
var protected = strings.Fields(`/ ~ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /proc /root /run /sbin /sys /usr /var
	/usr/bin /usr/lib /usr/lib64 /usr/sbin /usr/share /usr/local /var/lib`)

// rawDisk matches block devices that hold file systems.
var rawDisk = regexp.MustCompile(`^/dev/(sd[a-z]+|hd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme[0-9]+(n[0-9]+)?|mmcblk[0-9]+|dm-[0-9]+|md[0-9]*|loop[0-9]+|nbd[0-9]+|zd[0-9]+|mapper/.+|disk/.+|vg.*/.+|mem|kmem|port)(p?[0-9]+)?$`)

// effect spots what the policy refuses whatever the profile says, by what the command does rather than how it is spelled.
// It looks at best guesses: a wrong guess refuses nothing that is certain to be harmless.
func (c *call) effect(name string, args []arg) Decision {
	if strings.HasPrefix(name, "mkfs.") {
		name = "mkfs"
	}
	if spot := spotters[name]; spot != nil {
		return spot(c, name, args)
	}
	return allow()
}

// A spotter looks for one program's effect on what must not be lost.
type spotter func(c *call, name string, args []arg) Decision

// where is a spotter that looks only at calls with certain arguments.
func where(applies func(name string, args []arg) bool, look func(*call, []arg) Decision) spotter {
	return func(c *call, name string, args []arg) Decision {
		if !applies(name, args) {
			return allow()
		}
		return look(c, args)
	}
}

func always(string, []arg) bool { return true }

func withFlag(letters, long string) func(string, []arg) bool {
	return func(_ string, args []arg) bool { return flagged(args, letters, long) }
}

// spotters are the programs that are looked at.
var spotters = map[string]spotter{}

// init, since what a program starts is looked at in the same way.
func init() {
	add := func(s spotter, names ...string) {
		for _, name := range names {
			spotters[name] = s
		}
	}
	disks := (*call).diskOperand
	add(where(withFlag("rR", "recursive"), (*call).removal), "rm")
	add(where(withFlag("R", "recursive"), everyMode), "chmod", "chown", "chgrp")
	add(where(always, (*call).findRemoval), "find")
	add(where(always, listing), "echo", "printf", "ls")
	add(where(always, copyToDisk), "dd")
	add(where(always, disks), "tee", "shred", "blkdiscard", "truncate", "mkswap", "pvcreate")
	add(where(withFlag("w", ""), disks), "badblocks")
	add(where(func(_ string, args []arg) bool {
		return flagged(args, "ao", "all") && !flagged(args, "n", "no-act")
	}, disks), "wipefs")
	add(where(func(_ string, args []arg) bool {
		return flagged(args, "ZzodnRlgGN", "") ||
			hasWord(args, "--zap", "--zap-all", "--clear", "--delete", "--new", "--mbrtogpt", "--load-backup", "--replicate")
	}, disks), "sgdisk")
	add(where(func(name string, args []arg) bool { return hasWord(args, wipingWords[name]...) }, disks),
		"sfdisk", "parted", "cryptsetup", "nvme")
	add(where(func(_ string, args []arg) bool {
		return slices.ContainsFunc(args, func(a arg) bool {
			return strings.HasPrefix(a.text, "--security-erase") || strings.HasPrefix(a.text, "--trim-sector")
		})
	}, disks), "hdparm")
	add(where(always, mirror), "rsync")
	add(where(always, copyOver), "cp", "mv", "install")
	add(where(always, (*call).makeFileSystem),
		"mkfs", "mke2fs", "mkdosfs", "mkntfs", "mkreiserfs", "mkexfatfs", "mkudffs", "newfs")
}

// everyMode spots a change of everything's mode or owner.
func everyMode(c *call, args []arg) Decision {
	for _, a := range args {
		if p := strings.TrimRight(c.location(a.text), "*.?"); p == "/" {
			return deny("changes the mode or owner of everything below /")
		}
	}
	return allow()
}

// listing notes that a protected directory is named in what the next command may be given.
func listing(c *call, args []arg) Decision {
	for _, a := range args {
		if !strings.HasPrefix(a.text, "-") && strings.HasPrefix(a.text, "/") && c.isProtected(a.text) {
			c.everything = a.text
		}
	}
	return allow()
}

// copyToDisk spots dd's output.
func copyToDisk(c *call, args []arg) Decision {
	for _, a := range args {
		if of, ok := strings.CutPrefix(a.text, "of="); ok && c.isDisk(of) {
			return deny("writes over the disk " + shown(of))
		}
	}
	return allow()
}

// mirror spots a copy that removes what its source does not have.
func mirror(c *call, args []arg) Decision {
	if n := len(args); n > 0 && deletes(args) && c.isProtected(args[n-1].text) {
		return deny("removes what is below " + shown(args[n-1].text))
	}
	return allow()
}

// copyOver spots a copy onto a disk.
func copyOver(c *call, args []arg) Decision {
	if n := len(args); n > 0 && c.isDisk(args[n-1].text) {
		return deny("writes over the disk " + shown(args[n-1].text))
	}
	return allow()
}

// flagged reports whether a short flag of letters, or the long flag or an abbreviation of it, is there.
func flagged(args []arg, letters, long string) bool {
	for _, a := range args {
		switch l, isLong := strings.CutPrefix(a.text, "--"); {
		case isLong && l == "":
			return false
		case isLong:
			if long != "" && strings.HasPrefix(long, l) {
				return true
			}
		case strings.HasPrefix(a.text, "-") && strings.ContainsAny(a.text[1:], letters):
			return true
		}
	}
	return false
}

func (w *cwd) removal(args []arg) Decision {
	for _, a := range args {
		if !strings.HasPrefix(a.text, "-") && w.isProtected(a.text) {
			return deny("removes " + shown(a.text) + " and everything below it")
		}
	}
	return allow()
}

// wipingWords are the words with which a program that manages disks takes away what is on one.
var wipingWords = map[string][]string{
	"sfdisk":     {"--delete", "--wipe", "-w"},
	"parted":     {"mklabel", "mktable"},
	"cryptsetup": {"luksFormat", "erase", "luksErase"},
	"nvme":       {"format", "sanitize"},
}

// hasWord reports whether one of several words is there.
func hasWord(args []arg, words ...string) bool {
	for _, a := range args {
		if slices.Contains(words, a.text) {
			return true
		}
	}
	return false
}

// deletes reports whether rsync removes what the source does not have.
func deletes(args []arg) bool {
	for _, a := range args {
		if strings.HasPrefix(a.text, "--del") {
			return true
		}
	}
	return false
}

func (w *cwd) diskOperand(args []arg) Decision {
	for _, a := range args {
		if w.isDisk(a.text) {
			return deny("writes over the disk " + shown(a.text))
		}
	}
	return allow()
}

func (w *cwd) makeFileSystem(args []arg) Decision {
	for _, a := range args {
		if strings.HasPrefix(w.location(a.text), "/dev/") || !a.known && a.text == "" {
			return deny("makes a file system on " + shown(a.text))
		}
	}
	return allow()
}

func (w *cwd) isDisk(text string) bool { return rawDisk.MatchString(w.location(text)) }

// location is the cleaned path of a word, as far as the working directory is known.
func (w *cwd) location(text string) string {
	switch {
	case text == "":
		return ""
	case strings.HasPrefix(text, "/"):
		return path.Clean(text)
	case strings.HasPrefix(text, "~"):
		return path.Clean(text)
	case w.dir != "":
		w.spend(costPathByte * (len(w.dir) + len(text)))
		return path.Join(w.dir, text)
	}
	return text
}

// isProtected reports whether removing a path, or what its pattern matches, removes a protected directory.
func (w *cwd) isProtected(text string) bool {
	p := w.location(text)
	for {
		// "/etc/*" and "/etc/.*" empty the directory.
		base := path.Base(p)
		if p == "/" || strings.Trim(base, "*.?") != "" || !strings.ContainsAny(base, "*?") {
			break
		}
		w.hold(len(p)) // which is copied; a word may be all stars
		p = path.Dir(p)
	}
	if strings.HasPrefix(p, "~") && !strings.Contains(p, "/") {
		return true
	}
	for _, dir := range protected {
		if p == dir {
			return true
		}
		if match, err := path.Match(p, dir); err == nil && match {
			return true
		}
	}
	return false
}
