package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"shannot-gateway/vfs"
)

// fileRules say which files a command may name without a human. They look at names alone. The user that a command runs as
// bounds one that walks a directory, or makes up a name while it runs.
type fileRules struct {
	seen     *vfs.Policy
	bounded  bool            // there is a list of what may be read
	patterns [][]string      // hide, by components
	last     map[string]bool // the last components of hide without a star
	stars    []star          // and those with one
}

// star is a component of a pattern, by what is before its first star and after its last.
type star struct{ whole, head, tail string }

func newStar(whole string) star {
	return star{whole, whole[:strings.IndexByte(whole, '*')], whole[strings.LastIndexByte(whole, '*')+1:]}
}

// newFileRules reads the lists of the configuration. An empty read list stands for everything.
func newFileRules(read, hide []string) (*fileRules, error) {
	r := &fileRules{bounded: len(read) > 0, last: map[string]bool{}}
	if !r.bounded {
		read = []string{"/"}
	}
	seen, err := vfs.NewPolicy(read, hide)
	if err != nil {
		return nil, fmt.Errorf("reading what is hidden: %w", err)
	}
	r.seen = seen
	for _, pattern := range hide {
		parts := strings.FieldsFunc(pattern, func(c rune) bool { return c == '/' })
		r.patterns = append(r.patterns, parts)
		// "/x/**" hides x as "/x" does.
		for len(parts) > 1 && parts[len(parts)-1] == "**" {
			parts = parts[:len(parts)-1]
		}
		if end := parts[len(parts)-1]; strings.Contains(end, "*") {
			r.stars = append(r.stars, newStar(end))
		} else {
			r.last[end] = true
		}
	}
	return r, nil
}

// devices are the files in /dev that give nothing away.
var devices = map[string]bool{}

func init() {
	for _, name := range strings.Fields("null zero full random urandom stdin stdout stderr fd shm tty") {
		devices[name] = true
	}
}

// cwd is where the shell may stand, and what names mean from there.
type cwd struct {
	files *fileRules // nil where nothing is hidden
	dir   string     // where a cd went, "" if not known
	// hiddenName is a hidden file whose name stands anywhere in the text, "" for none.
	hiddenName string
	dirs       []string // all places where the shell may stand: those of a cd that may not have run as well
	*budget
}

// reads judges the words of a command that shows what is in the files that it names.
func (w *cwd) reads(name string, args []arg) Decision {
	if w.files == nil {
		return allow()
	}
	for _, a := range args {
		if !a.known && !a.closed && !a.number && w.hiddenName != "" {
			return ask(Caution, shown(name)+" may be given the name of "+shown(w.hiddenName)+", which is hidden by the read policy")
		}
		if a.names != "" {
			return ask(Caution, shown(name)+" is given the name of "+shown(a.names)+", which is hidden by the read policy")
		}
		if len(a.text) <= 2 && len(a.others) == 0 && strings.HasPrefix(a.text, "-") {
			continue
		}
		texts := append([]string{a.text}, a.others...)
		if !a.known && strings.Contains(a.text, "${") {
			texts = append(texts, unsetName.ReplaceAllString(a.text, "")) // a variable that nobody sets is nothing
		}
		for _, text := range texts {
			for _, candidate := range fileWords(text) {
				if why := w.secret(candidate, a.known); why != "" {
					return ask(Caution, shown(name)+" "+why)
				}
			}
		}
	}
	return allow()
}

// keeps are programs that hold all that they read, or a whole line of it, in memory or in temporary files.
var keeps = map[string]bool{"sort": true, "tac": true, "tail": true, "column": true, "jq": true, "grep": true, "rev": true, "fold": true, "shuf": true, "join": true}

// endless asks where such a program reads a device that never ends.
func (w *cwd) endless(name string, args []arg) Decision {
	if !keeps[name] {
		return allow()
	}
	for i, a := range args {
		size, ok := strings.CutPrefix(a.text, "-S")
		if long, has := strings.CutPrefix(a.text, "--buffer-size"); has {
			size, ok = strings.TrimPrefix(long, "="), true
		}
		if ok && size == "" && i+1 < len(args) {
			size = args[i+1].text
		}
		if name == "sort" && ok && muchMemory.MatchString(size) {
			return ask(Caution, "sort takes the memory "+shown(size))
		}
	}
	for _, a := range args {
		switch a.text {
		case "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom":
			return ask(Caution, shown(name)+" reads "+shown(a.text)+", which never ends")
		}
	}
	return allow()
}

// globbed asks where a search through directories looks for a hidden file by a pattern of names.
func (w *cwd) globbed(name string, args []arg) Decision {
	if w.files == nil || name != "rg" && name != "grep" && name != "egrep" && name != "fgrep" {
		return allow()
	}
	for i, a := range args {
		pattern, ok := "", false
		for _, flag := range []string{"--glob=", "--iglob=", "--include="} {
			if rest, has := strings.CutPrefix(a.text, flag); has {
				pattern, ok = rest, true
			}
		}
		switch {
		case (a.text == "-g" || a.text == "--glob" || a.text == "--iglob" || a.text == "--include") && i+1 < len(args):
			pattern, ok = args[i+1].text, true
		case name == "rg" && strings.HasPrefix(a.text, "-g") && len(a.text) > 2:
			pattern, ok = a.text[2:], true
		}
		if !ok || strings.Trim(pattern, "*.!") == "" || strings.HasPrefix(pattern, "!") {
			continue
		}
		for _, start := range args {
			if strings.HasPrefix(start.text, "/") {
				if why := w.secret(strings.TrimSuffix(start.text, "/")+"/"+strings.TrimPrefix(pattern, "/"), false); why != "" {
					return ask(Caution, shown(name)+" "+why)
				}
			}
		}
	}
	return allow()
}

// muchMemory matches a size of sort's of more than some hundred megabytes (sort(1): without a letter in KiB).
var muchMemory = regexp.MustCompile(`^([0-9]+[GTPEZYRQ].*|[0-9]{4,}[Mm].*|[0-9]{7,}[Kk]?|[0-9]{10,}b?|([3-9][0-9]|[0-9]{3,})%)$`)

var unsetName = regexp.MustCompile(`\$\{[A-Za-z_0-9]+\}`)

// mention remembers a hidden file that a command names without showing what is in it: its output may be another's words.
func (c *call) mention(args []arg) {
	if c.judge.files == nil || c.mentions != "" {
		return
	}
	for _, a := range args {
		if strings.Contains(a.text, "/") && c.secret(a.text, a.known) != "" {
			c.mentions = a.text
			return
		}
	}
}

// maxDirs bounds the places where the shell may stand.
const maxDirs = 12

// somewhere is a directory that is not known.
const somewhere = "a directory that is not known"

// moved takes note of a cd. Whether it runs is not always known, so that the places before it count as well.
func (w *cwd) moved(to arg) {
	if w.dirs == nil {
		w.dirs = []string{w.dir}
	}
	w.hold(costPlace*bytesPerStep + len(w.dir) + len(to.text))
	if w.dir = w.location(to.text); !to.known && !to.closed && !strings.HasPrefix(to.text, "~") {
		w.dir = somewhere
	}
	more := []string{w.dir}
	if !strings.HasPrefix(to.text, "/") && !strings.HasPrefix(to.text, "~") {
		for _, dir := range w.dirs {
			if dir != "" {
				w.hold(costPlace*bytesPerStep + len(dir) + len(to.text))
				more = append(more, path.Join(dir, to.text))
			}
		}
	}
	if to.text == "-" || len(w.dirs)+len(more) > maxDirs {
		w.dir = somewhere
		more = []string{w.dir}
		w.dirs = w.dirs[:min(len(w.dirs), maxDirs)]
	}
	w.dirs = append(w.dirs, more...)
}

// fileWords are the parts of a word that may name a file: the word, the value after "=", what is attached to a short flag.
func fileWords(text string) []string {
	if text == "" || text[0] != '-' {
		if _, value, ok := strings.Cut(text, "="); ok && value != "" {
			return []string{text, value}
		}
		return []string{text}
	}
	if _, value, ok := strings.Cut(text, "="); ok {
		return []string{value}
	}
	var all []string
	if !strings.HasPrefix(text, "--") {
		for i := 2; i < len(text) && i < 8; i++ {
			all = append(all, text[i:])
		}
	}
	return all
}

// secret says why the content of a file is not for an agent alone, or "".
func (w *cwd) secret(text string, known bool) string {
	r := w.files
	if r == nil || text == "" || len(text) > 4096 || strings.IndexByte(text, 0) >= 0 {
		return ""
	}
	w.spend(costWord)
	if goesUp(text) {
		return "reads " + shown(text) + ", which goes up from a directory that may be a link"
	}
	for _, name := range w.places(text) {
		w.spend(costPathByte * len(name))
		name, through := w.throughProc(name)
		if through {
			return "reads " + shown(text) + ", which goes through a process"
		}
		if rest, ok := strings.CutPrefix(name, "/dev/"); ok {
			if first, _, _ := strings.Cut(rest, "/"); !devices[first] {
				return "reads the device " + shown(text)
			}
		}
		switch {
		case w.hides(name), !known && strings.ContainsAny(text, "*?[") && w.hidesSome(name):
			return "reads " + shown(text) + ", which is hidden by the read policy"
		case r.bounded && looksLikePath(text) && r.seen.Decide(name) == vfs.Hidden:
			return "reads " + shown(text) + ", which the read policy does not show"
		}
	}
	return ""
}

// goesUp reports whether a path has ".." after a name: where that is a link, it leads elsewhere than it seems.
func goesUp(text string) bool {
	if !strings.Contains(text, "/") || !strings.Contains(text, "..") {
		return false
	}
	down := false
	for _, part := range strings.Split(text, "/") {
		switch part {
		case "..":
			if down {
				return true
			}
		case "", ".", "~":
		default:
			down = true
		}
	}
	return false
}

// looksLikePath reports whether a word is certainly the name of a file.
func looksLikePath(text string) bool {
	return strings.Contains(text, "/") && (text[0] == '/' || text[0] == '.' || text[0] == '~')
}

// places are the absolute names that a word may have. A home directory is root's or somebody's. Where the working
// directory is not known, a word that starts there may be below / or in a home.
func (w *cwd) places(text string) []string {
	switch {
	case text[0] == '/':
		return []string{path.Clean(text)}
	case text[0] == '~':
		_, rest, _ := strings.Cut(text, "/")
		return []string{path.Join("/root", rest), path.Join("/home/x", rest)}
	case w.dirs == nil:
		return placesIn(w.dir, text)
	}
	var all []string
	for i, dir := range w.dirs {
		if !slices.Contains(w.dirs[:i], dir) {
			w.hold(costPlace*bytesPerStep + len(dir) + len(text))
			all = append(all, placesIn(dir, text)...)
		}
	}
	return all
}

// placesIn are the absolute names of a word that is relative to a directory.
func placesIn(dir, text string) []string {
	switch {
	case strings.HasPrefix(dir, "~"):
		_, rest, _ := strings.Cut(dir, "/")
		return []string{path.Join("/root", rest, text), path.Join("/home/x", rest, text)}
	case strings.HasPrefix(dir, "/"):
		return []string{path.Join(dir, text)}
	case dir == "" && !strings.Contains(text, "/"):
		return nil // more likely a word than a file
	}
	return []string{path.Join("/", text), path.Join("/home/x", text), path.Join("/etc", text)}
}

// throughProc takes off the directories through which a process shows a file system ("/proc/1/root/etc"). It reports
// whether the rest is not known: a working directory, or an open file.
func (w *cwd) throughProc(name string) (string, bool) {
	for {
		w.spend(costPathByte * len(name))
		parts := strings.Split(name, "/")
		if len(parts) < 4 || parts[1] != "proc" {
			return name, false
		}
		at := 3
		if parts[3] == "task" && len(parts) > 5 {
			at = 5
		}
		switch parts[at] {
		case "root":
			name = "/" + strings.Join(parts[at+1:], "/")
		case "cwd", "fd", "map_files":
			return name, len(parts) > at+1
		default:
			return name, false
		}
	}
}

// hides reports whether a name, or a directory on the way to it, is hidden.
func (w *cwd) hides(name string) bool {
	r := w.files
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
		if r.last[part] || r.starred(part) {
			w.spend(costHidden + strings.Count(name, "/")*costWord)
			return r.seen.Decide(name) == vfs.Hidden && !(r.bounded && r.outside(name))
		}
	}
	return false
}

// Hides reports whether the content of a file of this judge's targets is hidden: whether a pattern of Hide matches its name, or
// that of a directory on the way to it.
func (j *Judge) Hides(_, name string) bool {
	r := j.files
	return r != nil && r.seen.Decide(name) == vfs.Hidden && !(r.bounded && r.outside(name))
}

// outside reports whether no pattern of hide matches, so that a name is hidden only by not being listed.
func (r *fileRules) outside(name string) bool {
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '/' })
	for _, p := range r.patterns {
		if meets(p, parts, false) {
			return false
		}
	}
	return true
}

func (r *fileRules) starred(part string) bool {
	for _, star := range r.stars {
		if strings.HasPrefix(part, star.head) && strings.HasSuffix(part, star.tail) {
			return true // near enough to look closer
		}
	}
	return false
}

// hidesSome reports whether a name with the shell's patterns in it may become a hidden one.
func (w *cwd) hidesSome(name string) bool {
	r := w.files
	w.spend(costPattern + strings.Count(name, "/")*costPart + len(name)*costStarByte)
	if ofProcesses.MatchString(name) {
		return false
	}
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '/' })
	for _, p := range r.patterns {
		if meets(p, parts, false) {
			return true
		}
	}
	return false
}

// ofProcesses matches the files of every process that are not hidden. No other directory in /proc has files of these names.
var ofProcesses = regexp.MustCompile(`^/proc/[0-9*?\[\]-]+/(status|stat|statm|comm|cmdline|limits|io|cgroup|oom_score|oom_score_adj|oom_adj|schedstat|sched|loginuid|mountinfo|mounts|wchan)$`)

// meets reports whether a hide pattern and a name with patterns of the shell's have a name in common. deep says that "**"
// was met. After it, a star alone in a name does not stand for every name that is hidden somewhere.
func meets(hide, name []string, deep bool) bool {
	switch {
	case len(hide) == 0:
		return true // what is below a hidden directory
	case hide[0] == "**":
		if len(hide) == 1 {
			return true
		}
		for i := range name {
			if meets(hide[1:], name[i:], true) {
				return true
			}
		}
		return false
	case len(name) == 0:
		return false
	}
	return meetsOne(hide[0], name[0], deep) && meets(hide[1:], name[1:], deep)
}

// meetsOne is meets for one component. The shell's patterns do not match a leading dot.
func meetsOne(hide, name string, deep bool) bool {
	if !strings.ContainsAny(name, "*?[") {
		match, err := path.Match(hide, name)
		return err == nil && match
	}
	if strings.HasPrefix(hide, ".") && !strings.HasPrefix(name, ".") {
		return false
	}
	if strings.Contains(name, "[:") || strings.Contains(name, "[.") || strings.Contains(name, "[=") {
		return true // classes of characters are not looked into
	}
	name = strings.ReplaceAll(name, "[!", "[^")
	if !strings.Contains(hide, "*") {
		match, err := path.Match(name, hide)
		return err != nil || match
	}
	if deep && strings.Trim(name, "*") == "" {
		return false
	}
	return overlap(hide, tokens(name))
}

// tokens are the parts of a shell's pattern that stand for one character each, or a star.
func tokens(pattern string) []string {
	var all []string
	for i := 0; i < len(pattern); i++ {
		end := i + 1
		if pattern[i] == '[' {
			if at := strings.IndexByte(pattern[i+1:], ']'); at > 0 {
				end = i + at + 2
			}
		}
		all = append(all, pattern[i:end])
		i = end - 1
	}
	return all
}

// overlap reports whether one name matches both a pattern of stars and characters and a pattern of the shell's. row[j]
// says whether the part of hide so far can match the first j parts of name.
func overlap(hide string, name []string) bool {
	row := make([]bool, len(name)+1)
	row[0] = true
	for j, token := range name {
		row[j+1] = row[j] && token == "*"
	}
	for i := range len(hide) {
		next := make([]bool, len(name)+1)
		next[0] = row[0] && hide[i] == '*'
		for j, token := range name {
			if hide[i] == '*' || token == "*" {
				next[j+1] = row[j+1] || next[j]
				continue
			}
			match, err := path.Match(token, hide[i:i+1])
			next[j+1] = row[j] && (err != nil || match)
		}
		row = next
	}
	return row[len(name)]
}
