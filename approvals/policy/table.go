package policy

import "strings"

// DefaultProfile is what runs unattended without a configuration: programs that only look at the host. Programs that
// reach the network, a container engine or a repository with hooks of its own are not among them, even where the
// package knows how they are used to read.
func DefaultProfile() Profile {
	return Profile{
		AutoApprove: strings.Fields(`
			arch awk b2sum base32 base64 basename cal cat cksum cmp column comm cut date df diff dirname dmesg dpkg
			dpkg-query du echo egrep env expand expr false fgrep file find findmnt fmt fold free gawk getent grep groups
			head hexdump hostname hostnamectl id iostat ip join journalctl jq last lastb ls lsblk lscpu lsipc lslocks
			lslogins lsmem lsmod lsns lsof lspci lsusb locale localectl loginctl logname mawk md5sum modinfo mount mpstat
			namei netstat nl nproc numfmt od openssl paste pgrep pidof pidstat pmap pr printenv printf prlimit ps pstree
			pwd pwdx readlink realpath rev rg sed seq sha1sum sha224sum sha256sum sha384sum sha512sum sleep sort ss stat
			strings sum sysctl systemctl systemd-analyze tac tail test timedatectl top tr true tsort tty uname
			unexpand uniq uptime users vmstat w wc whereis which who whoami xxd zdump`),
		AlwaysDeny: []string{"rm -rf /", ":(){ :|:& };:"},
	}
}

// free are programs that only read, whatever their words are.
const free = `
	arch b2sum base32 base64 basename cat cksum cmp column comm cut df dirname du egrep expand expr false fgrep fmt
	fold free grep groups head hexdump hd id iostat join jq locale logname ls lsblk lscpu lsipc lslocks
	lslogins lsmem lsmod lsns md5sum mpstat namei nl nproc od paste pidof printenv pr ps pwdx
	readlink realpath rev seq sha1sum sha224sum sha256sum sha384sum sha512sum sleep stat strings sum tac tail
	true tsort tty uname unexpand uptime users vmstat w wc whereis whoami which pstree tr numfmt lastb zdump findmnt`

// builtins are the parts of a shell that only touch the short-lived shell itself.
const builtins = `: cd echo pwd type true false times`

// grammars is the table of what programs do when they only read, by name. Sources are the programs' manual pages.
var grammars = map[string]*grammar{
	"date": {short: "uR", value: "dfr", optional: "I", max: 1, operand: func(s string) bool { return strings.HasPrefix(s, "+") },
		long: []string{"date=", "file=", "reference=", "utc", "universal", "rfc-email", "rfc-3339=", "iso-8601?", "debug", "resolution", "help", "version"}},
	"hostname": {short: "sI", long: []string{"short", "all-ip-addresses", "version", "help"}},
	"dmesg": {short: "dHhiIklLPrStTuxV", value: "fls", long: []string{"show-delta", "human", "kernel", "level=", "facility=",
		"nopager", "raw", "force-prefix", "ctime", "reltime", "notime", "userspace", "decode", "color?", "time-format=", "since=", "until=", "json", "help", "version"}},
	"mount":      {short: "lhV", value: "t", long: []string{"show-labels", "types=", "help", "version"}},
	"file":       {banned: "CzZmf", bannedLong: []string{"compile", "uncompress", "uncompress-noreport", "magic-file"}, max: -1},
	"sort":       {banned: "oT", bannedLong: []string{"output", "compress-program", "temporary-directory"}, max: -1},
	"uniq":       {short: "cdDiuz", value: "fsw", long: []string{"count", "repeated", "all-repeated?", "skip-fields=", "group?", "ignore-case", "skip-chars=", "unique", "zero-terminated", "check-chars="}, max: 1},
	"diff":       {banned: "l", bannedLong: []string{"paginate"}, max: -1},
	"last":       {banned: "d", bannedLong: []string{"dns"}, max: -1},
	"who":        {bannedLong: []string{"lookup"}, max: -1},
	"pmap":       {short: "xXdqp", max: -1},
	"cal":        {any: true},
	"xxd":        {banned: "r", bannedLong: []string{"revert"}, max: 1},
	"pgrep":      {bannedLong: []string{"signal", "queue"}, max: -1},
	"pidstat":    {banned: "e", max: -1},
	"prlimit":    {value: "p", long: []string{"pid=", "noheadings", "raw", "output="}, need: []string{"-p", "--pid"}},
	"modinfo":    {short: "adlpn0", value: "Fk", long: []string{"author", "description", "license", "parameters", "filename", "field="}, max: -1},
	"lspci":      {short: "vnkbDtmx", value: "sd", max: 0},
	"lsusb":      {short: "tv", value: "sd", max: 0},
	"top":        {short: "bcHiS1", value: "ndpuUowE", need: []string{"-b"}},
	"ss":         {short: "tuxwldapnemioshHO40126VzSMTQ", value: "", long: socketFlags, max: -1, operand: socketWord},
	"lsof":       {banned: "Dr@", max: -1, operand: func(s string) bool { return !strings.Contains(s, "@") }, need: []string{"-n"}},
	"netstat":    {short: "tulnpaxrsiegwWo46", long: []string{"numeric", "tcp", "udp", "listening", "all", "route", "statistics", "interfaces", "program"}, need: []string{"-n", "-i", "-s", "--numeric", "--interfaces", "--statistics"}},
	"getent":     {max: -1, operand: func(s string) bool { return !nameServices[s] }, short: "", long: []string{"help"}},
	"journalctl": {short: "xeafrkqmlN0123456789", value: "nupSUogtF", optional: "b", max: -1, long: journalFlags},
	"sysctl":     {short: "anNbeqAX", long: []string{"all", "names", "values", "ignore", "pattern=", "deprecated"}, value: "r", max: -1, operand: func(s string) bool { return !strings.Contains(s, "=") }},
	"crontab":    {short: "l", value: "u", need: []string{"-l"}},
	"rg":         {banned: "z", bannedLong: []string{"pre", "pre-glob", "hostname-bin", "search-zip", "hyperlink-format"}, max: -1},
	"systemctl": {short: "laqr", value: "tnop", bare: true, long: systemdFlags, sub: sameSub(
		&grammar{short: "laqrT", value: "tnop", long: systemdFlags, max: -1},
		"status", "show", "cat", "is-active", "is-enabled", "is-failed", "list-units", "list-unit-files", "list-timers",
		"list-sockets", "list-dependencies", "list-jobs", "get-default", "is-system-running", "show-environment", "list-automounts", "list-paths")},
	"systemd-analyze": {long: []string{"no-pager", "system"}, bare: true, sub: sameSub(
		&grammar{long: []string{"no-pager", "system", "fuzz="}, max: -1}, "time", "blame", "critical-chain")},
	"hostnamectl": {long: []string{"no-pager", "static", "json="}, bare: true, sub: sameSub(&grammar{}, "status")},
	"timedatectl": {long: []string{"no-pager"}, bare: true, sub: sameSub(&grammar{short: "a", value: "p", long: []string{"property=", "value", "all", "no-pager"}},
		"status", "show", "list-timezones", "timesync-status", "show-timesync")},
	"localectl": {long: []string{"no-pager"}, bare: true, sub: sameSub(&grammar{long: []string{"no-pager"}}, "status", "list-locales", "list-keymaps")},
	"loginctl": {long: []string{"no-pager", "no-legend"}, bare: true, sub: sameSub(&grammar{long: systemdFlags, short: "al", value: "pno", max: -1},
		"list-sessions", "list-users", "list-seats", "session-status", "show-session", "user-status", "show-user", "seat-status", "show-seat")},
	"ip": {single: true, long: ipFlags, sub: ipObjects()},
	"dpkg": {short: "lLsSp", long: []string{"list", "listfiles", "status", "search", "print-avail", "get-selections", "print-architecture", "print-foreign-architectures", "no-pager", "version"},
		max: -1, need: []string{"-l", "-L", "-s", "-S", "-p", "--list", "--listfiles", "--status", "--search", "--print-avail", "--get-selections", "--print-architecture", "--print-foreign-architectures", "--version"}},
	"dpkg-query": {short: "WlLsSp", value: "f", long: []string{"show", "list", "listfiles", "status", "search", "print-avail", "showformat=", "no-pager"},
		max: -1, need: []string{"-W", "-l", "-L", "-s", "-S", "-p", "--show", "--list", "--listfiles", "--status", "--search", "--print-avail"}},
	"rpm":     {short: "qailcdR", value: "f", long: []string{"query", "all", "info", "list", "file=", "last", "changelog", "requires", "provides", "scripts"}, need: []string{"-q", "--query"}, max: -1, operand: isNoAddress},
	"openssl": {single: true, bare: false, sub: opensslCommands()},
	"git":     {long: []string{"no-pager", "version"}, value: "C", sub: gitCommands()},
	"docker":  {sub: containerCommands()},
	"podman":  {sub: containerCommands()},
	"kubectl": {value: "n", long: []string{"namespace="}, sub: sameSub(&grammar{short: "Aw", value: "nocl", long: []string{"namespace=", "output=", "all-namespaces", "selector=", "show-labels", "no-headers", "tail=", "since=", "previous", "container=", "timestamps"}, max: -1},
		"get", "describe", "logs", "top", "version", "api-resources")},
	"ulimit":   {short: "aHSn", builtin: true},
	"umask":    {short: "S", builtin: true},
	"jobs":     {short: "lnprs", builtin: true},             // -x runs a command
	"wait":     {max: -1, operand: isNumber, builtin: true}, // -p assigns
	"exit":     {max: 1, operand: isNumber, builtin: true},
	"return":   {max: 1, operand: isNumber, builtin: true},
	"break":    {max: 1, operand: isNumber, builtin: true},
	"continue": {max: 1, operand: isNumber, builtin: true},
	"shift":    {max: 1, operand: isNumber, builtin: true},
	"set":      {short: "euxfvC", value: "o", builtin: true},
	"read":     {short: "rs", value: "p", max: -1, operand: isVariable, builtin: true},
}

func init() {
	for name, run := range map[string]func(*call, string, []arg) Decision{
		"awk": judgeAwk, "gawk": judgeAwk, "mawk": judgeAwk, "sed": judgeSed, "find": judgeFind,
	} {
		grammars[name] = &grammar{run: run}
	}
	for name, run := range map[string]func(*call, string, []arg) Decision{"printf": judgePrintf, "test": judgeTest, "[": judgeTest} {
		grammars[name] = &grammar{run: run, builtin: true}
	}
	for _, name := range strings.Fields(free) {
		grammars[name] = &grammar{any: true}
	}
	for _, name := range strings.Fields(builtins) {
		grammars[name] = &grammar{any: true, builtin: true}
	}
}

var socketFlags = []string{"tcp", "udp", "unix", "raw", "listening", "all", "numeric", "processes", "extended", "memory", "info", "options", "summary", "no-header", "ipv4", "ipv6", "oneline", "family=", "query="}

// socketWords are the words of ss's filter that are no host name.
var socketWords = map[string]bool{"state": true, "exclude": true, "dst": true, "src": true, "dport": true, "sport": true, "and": true, "or": true, "not": true,
	"established": true, "syn-sent": true, "syn-recv": true, "fin-wait-1": true, "fin-wait-2": true, "time-wait": true, "closed": true, "close-wait": true,
	"last-ack": true, "listening": true, "closing": true, "all": true, "connected": true, "synchronized": true, "eq": true, "=": true, "==": true, "!=": true,
	"(": true, ")": true, "bucket": true, "big": true, "listen": true}

// socketWord reports whether a word of a filter is one that ss does not look up: a keyword, a number, a port.
func socketWord(s string) bool {
	for _, w := range strings.Fields(s) {
		if !socketWords[w] && strings.Trim(w, "0123456789.:/*[]=!<>") != "" && !isServicePort(w) {
			return false
		}
	}
	return true
}

// isServicePort reports whether w is a port by its service's name (":ssh"), which is read from a file.
func isServicePort(w string) bool {
	return len(w) > 1 && w[0] == ':' && strings.Trim(w[1:], "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// nameServices are the databases that getent asks the network for.
var nameServices = map[string]bool{"hosts": true, "ahosts": true, "ahostsv4": true, "ahostsv6": true, "networks": true, "netgroup": true}

var journalFlags = []string{"no-pager", "since=", "until=", "unit=", "user-unit=", "priority=", "lines=", "output=", "boot?", "reverse", "no-hostname", "utc", "dmesg",
	"identifier=", "grep=", "catalog", "full", "all", "quiet", "list-boots", "disk-usage", "no-tail", "merge", "system", "user", "facility=", "field=", "fields",
	"header", "output-fields=", "no-full", "pager-end", "follow", "case-sensitive?", "cursor=", "after-cursor=", "show-cursor", "version", "help"}

var systemdFlags = []string{"no-pager", "full", "all", "type=", "state=", "quiet", "lines=", "output=", "property=", "value", "failed", "no-legend", "plain",
	"recursive", "reverse", "after", "before", "system", "user", "legend=", "timestamp=", "version", "help", "no-ask-password"}

var ipFlags = []string{"br", "brief", "4", "6", "0", "s", "stats", "statistics", "d", "details", "j", "json", "p", "pretty", "o", "oneline", "c", "color?", "h", "human", "N", "V", "t", "ts"}

// ipObjects is what "ip" shows; any other verb of an object changes it.
func ipObjects() map[string]*grammar {
	show := sameSub(&grammar{max: -1, operand: isNoAction}, "show", "list", "lst", "ls", "get")
	object := &grammar{bare: true, sub: show}
	return sameSub(object, "addr", "address", "a", "link", "l", "route", "r", "ro", "neigh", "neighbour", "n", "rule", "maddr", "maddress")
}

// isNoAction guards the operands of a showing verb: none of them names another verb or a host to look up.
func isNoAction(s string) bool {
	switch s {
	case "add", "del", "delete", "set", "flush", "exec", "replace", "change", "save", "restore":
		return false
	}
	return true
}

func isNoAddress(s string) bool { return !strings.Contains(s, "://") }

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

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

func opensslCommands() map[string]*grammar {
	flags := []string{"in=", "inform=", "noout", "text", "subject", "issuer", "dates", "startdate", "enddate", "serial", "fingerprint", "sha1", "sha256",
		"nameopt=", "checkend=", "checkhost=", "checkip=", "ext=", "purpose", "email", "hash", "modulus", "pubkey", "issuer_hash", "subject_hash",
		"lastupdate", "nextupdate", "crlnumber", "a", "v", "d", "p", "b", "o", "r"}
	for i, f := range flags {
		flags[i] = strings.TrimSuffix(f, "=")
		if f != flags[i] {
			flags[i] += "="
		}
	}
	file := &grammar{single: true, long: flags, need: []string{"-in"}}
	digest := &grammar{single: true, long: []string{"r", "hex", "c", "sha256", "sha1", "sha512", "md5"}, max: -1}
	return map[string]*grammar{
		"x509": file, "crl": file, "version": {single: true, long: flags}, "ciphers": {single: true, long: []string{"v", "V", "s"}, max: 1},
		"dgst": digest, "sha256": digest, "sha1": digest, "sha512": digest, "md5": digest,
	}
}

// gitCommands read a repository. They are not in the default list: a repository's own configuration may name programs
// that reading it starts.
func gitCommands() map[string]*grammar {
	flags := []string{"oneline", "stat", "name-only", "name-status", "graph", "all", "decorate?", "numstat", "shortstat", "since=", "until=", "author=", "max-count=",
		"cached", "staged", "porcelain?", "short", "no-color", "abbrev-ref", "show-toplevel", "verify", "list", "patch", "follow", "branch"}
	commands := sameSub(&grammar{short: "psb0123456789", value: "nLU", long: flags, max: -1}, "log", "show", "diff", "status", "rev-parse", "ls-files", "blame", "describe", "shortlog")
	commands["branch"] = &grammar{short: "avr", long: []string{"all", "list", "remotes", "show-current", "verbose"}}
	commands["remote"] = &grammar{short: "v"}
	return commands
}

// containerCommands ask a container engine. They are not in the default list: the engine may be another host's.
func containerCommands() map[string]*grammar {
	flags := []string{"all", "filter=", "format=", "no-trunc", "quiet", "size", "last=", "latest", "since=", "until=", "tail=", "timestamps", "follow", "details", "no-stream", "type="}
	return sameSub(&grammar{short: "aqnlstf", long: flags, max: -1}, "ps", "images", "version", "info", "inspect", "logs", "top", "stats", "port", "diff", "history")
}

// sameSub gives several subcommands one grammar.
func sameSub(g *grammar, names ...string) map[string]*grammar {
	m := make(map[string]*grammar, len(names))
	for _, name := range names {
		m[name] = g
	}
	return m
}
