package policy

import (
	"path"
	"regexp"
	"strings"
)

// protected are the directories whose recursive removal ends a host or a home.
var protected = strings.Fields(`/ ~ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /proc /root /run /sbin /sys /usr /var
	/usr/bin /usr/lib /usr/lib64 /usr/sbin /usr/share /usr/local /var/lib`)

// rawDisk matches block devices that hold file systems.
var rawDisk = regexp.MustCompile(`^/dev/(sd[a-z]+|hd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme[0-9]+(n[0-9]+)?|mmcblk[0-9]+|dm-[0-9]+|md[0-9]*|loop[0-9]+|nbd[0-9]+|zd[0-9]+|mapper/.+|disk/.+|vg.*/.+|mem|kmem|port)(p?[0-9]+)?$`)

// effect spots what is refused whatever the profile says, by what the command does rather than how it is spelled. It
// looks at best guesses: a wrong guess refuses nothing that is certain to be harmless.
func (c *call) effect(name string, args []arg) Decision {
	switch name {
	case "rm":
		if flagged(args, "rR", "recursive") {
			return c.removal(args)
		}
	case "chmod", "chown", "chgrp":
		if flagged(args, "R", "recursive") {
			for _, a := range args {
				if c.location(a.text) == "/" {
					return deny("changes the mode or owner of everything below /")
				}
			}
		}
	case "find":
		return c.findRemoval(args)
	case "dd":
		for _, a := range args {
			if of, ok := strings.CutPrefix(a.text, "of="); ok && c.isDisk(of) {
				return deny("writes over the disk " + shown(of))
			}
		}
	case "tee", "shred", "wipefs", "blkdiscard", "truncate", "sgdisk", "mkswap", "badblocks":
		return c.diskOperand(name, args)
	case "cp", "mv", "install":
		if n := len(args); n > 0 && c.isDisk(args[n-1].text) {
			return deny("writes over the disk " + shown(args[n-1].text))
		}
	case "mke2fs", "mkdosfs", "mkntfs", "mkreiserfs":
		return c.makeFileSystem(args)
	}
	if name == "mkfs" || strings.HasPrefix(name, "mkfs.") {
		return c.makeFileSystem(args)
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
			if strings.HasPrefix(long, l) {
				return true
			}
		case strings.HasPrefix(a.text, "-") && strings.ContainsAny(a.text[1:], letters):
			return true
		}
	}
	return false
}

func (c *call) removal(args []arg) Decision {
	for _, a := range args {
		if !strings.HasPrefix(a.text, "-") && c.isProtected(a.text) {
			return deny("removes " + shown(a.text) + " and everything below it")
		}
	}
	return allow()
}

func (c *call) diskOperand(name string, args []arg) Decision {
	for _, a := range args {
		if c.isDisk(a.text) && !(name == "wipefs" && len(args) == 1) {
			return deny("writes over the disk " + shown(a.text))
		}
	}
	return allow()
}

func (c *call) makeFileSystem(args []arg) Decision {
	for _, a := range args {
		if strings.HasPrefix(c.location(a.text), "/dev/") || !a.known && a.text == "" {
			return deny("makes a file system on " + shown(a.text))
		}
	}
	return allow()
}

func (c *call) isDisk(text string) bool { return rawDisk.MatchString(c.location(text)) }

// location is the cleaned path of a word, as far as the working directory is known.
func (c *call) location(text string) string {
	switch {
	case text == "":
		return ""
	case strings.HasPrefix(text, "/"):
		return path.Clean(text)
	case strings.HasPrefix(text, "~"):
		return path.Clean(text)
	case c.dir != "":
		return path.Join(c.dir, text)
	}
	return text
}

// isProtected reports whether removing a path, or what its pattern matches, removes a protected directory.
func (c *call) isProtected(text string) bool {
	p := c.location(text)
	for {
		// "/etc/*" and "/etc/.*" empty the directory.
		base := path.Base(p)
		if p == "/" || strings.Trim(base, "*.?") != "" || !strings.ContainsAny(base, "*?") {
			break
		}
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
