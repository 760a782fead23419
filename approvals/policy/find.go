package policy

import (
	"strings"
)

// findTests are the words of find(1) that only look, with the number of words that follow each. The rest of its language
// writes, runs programs, or is unknown to us.
var findTests = map[string]int{}

func init() {
	for n, words := range []string{
		`-H -L -P -d -depth -xdev -mount -noleaf -ignore_readdir_race -noignore_readdir_race -warn -nowarn -daystart -follow
		-empty -executable -readable -writable -nouser -nogroup -true -false -print -print0 -ls -prune -quit
		( ) ! , -not -a -and -o -or -O0 -O1 -O2 -O3 --help -help -version --version`,
		`-maxdepth -mindepth -amin -anewer -atime -cmin -cnewer -ctime -fstype -gid -group -ilname -iname -inum -ipath
		-iregex -iwholename -links -lname -mmin -mtime -name -newer -path -perm -regex -regextype -samefile -size -type
		-uid -used -user -wholename -xtype -context -printf -newermt -newerat -newerct -newermm -neweram -newercm`,
	} {
		for _, w := range strings.Fields(words) {
			findTests[w] = n
		}
	}
}

// judgeFind judges find's expression: tests and printing are reading, -exec is judged by the command it runs.
func judgeFind(c *call, name string, args []arg) Decision {
	d := allow()
	inPaths := true
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a.text == "" || !strings.ContainsAny(a.text[:1], "-()!,") || !a.known {
			if !inPaths || !a.known && a.dash {
				d = worst(d, unknownWord(name, a))
			}
			continue
		}
		values, ok := findTests[a.text]
		if inPaths = inPaths && (a.text == "-H" || a.text == "-L" || a.text == "-P"); ok {
			d = worst(d, findValues(name, args, i+1, values))
			i += values
			continue
		}
		if a.text != "-exec" {
			d = worst(d, ask(Caution, "find may do more than read with "+shown(a.text)))
			if a.text != "-execdir" && a.text != "-ok" && a.text != "-okdir" {
				continue
			}
		}
		command, end := execCommand(args[i+1:])
		if len(command) == 0 {
			return worst(d, ask(Unknown, "find "+a.text+" has no command"))
		}
		d = worst(d, c.argv(command))
		if d.Verdict == Allow && !c.showsNames(command[0].text) {
			d = c.foundHidden(args[:i])
		}
		i += end
	}
	if d.Verdict == Allow && c.mentions == "" && c.judge.files != nil {
		if found := c.foundHidden(args); found.Verdict != Allow {
			c.mentions = "what find finds"
		}
	}
	return d
}

// findValues judges the values of a test, from a place on.
func findValues(name string, args []arg, from, count int) Decision {
	d := allow()
	for i := from; i < min(from+count, len(args)); i++ {
		if args[i].many && !args[i].number {
			d = worst(d, unknownWord(name, args[i]))
		}
	}
	return d
}

// showsNames reports whether a program shows no content of the files that it is given.
func (c *call) showsNames(program string) bool {
	name, _ := resolve(program)
	g, ok := c.judge.programs[name]
	return ok && g.names
}

// foundHidden asks where a find that hands its files to a command begins at a hidden file, or looks for one by its name.
func (c *call) foundHidden(args []arg) Decision {
	var starts []string
	inPaths := true
	for i, a := range args {
		if inPaths = inPaths && a.text != "" && !strings.ContainsAny(a.text[:1], "-()!,"); inPaths {
			starts = append(starts, a.text)
			if d := c.reads("find", args[i:i+1]); d.Verdict != Allow {
				return d
			}
		}
		if (a.text == "-name" || a.text == "-path" || a.text == "-wholename") && i+1 < len(args) {
			for _, start := range starts {
				word := args[i+1]
				word.known = false // it may be a pattern
				if a.text == "-name" {
					word.text = strings.TrimSuffix(start, "/") + "/" + word.text
				}
				if d := c.reads("find", []arg{word}); strings.Trim(args[i+1].text, "*.") != "" && d.Verdict != Allow {
					return d
				}
			}
		}
	}
	return allow()
}

// execCommand is the command that follows -exec, and how many words it takes. The names that find puts in are not known;
// they begin as the starting points do.
func execCommand(args []arg) ([]arg, int) {
	var command []arg
	for i, a := range args {
		if a.text == ";" || a.text == "+" && i > 0 && args[i-1].text == "{}" {
			return command, i + 1
		}
		if strings.Contains(a.text, "{}") {
			a = arg{text: a.text, many: a.text == "{}" && i+1 < len(args) && args[i+1].text == "+"}
		}
		command = append(command, a)
	}
	return command, len(args)
}

// findRemoval spots a find that removes everything below a protected directory.
func (c *call) findRemoval(args []arg) Decision {
	removes, narrow, inPaths := false, false, true
	target := ""
	paths := 0
	for i := 0; i < len(args); i++ {
		text := args[i].text
		if inPaths && text != "" && !strings.ContainsAny(text[:1], "-(!,") {
			if paths++; c.isProtected(text) {
				target = text
			}
			continue
		}
		switch text {
		case "-H", "-L", "-P":
			continue
		case "-delete":
			removes = true
		case "-exec", "-execdir", "-ok", "-okdir":
			command, end := execCommand(args[i+1:])
			for _, a := range command {
				name, _ := resolve(a.text)
				removes = removes || name == "rm" || name == "shred" || name == "unlink"
			}
			i += end
		case "-type", "-mindepth":
			i++
		case "-name", "-iname", "-path", "-wholename":
			i++
			narrow = narrow || i < len(args) && strings.Trim(args[i].text, "*") != ""
		case "-xdev", "-mount", "-depth", "-d", "-print", "-print0", "-ls", "(", ")", "-true", "-a", "-and", "-ignore_readdir_race":
		default:
			narrow = true
		}
		inPaths = false
	}
	if paths == 0 && c.dir != "" && c.isProtected(c.dir) {
		target = c.dir
	}
	if !removes && !narrow && target != "" {
		c.everything = target // what a pipe may hand to a removal
	}
	if removes && target != "" && !narrow {
		return deny("removes everything below " + shown(target))
	}
	return allow()
}
