package policy

import (
	"regexp"
	"strings"
)

// assigning matches the conversion of bash's printf that assigns to the variable its argument names.
var assigning = regexp.MustCompile(`%[^a-zA-Z%]*[hlLjzt]*n`)

// judgePrintf judges printf: with -v and %n bash assigns, and -v evaluates a subscript in the name.
func judgePrintf(_ *call, name string, args []arg) Decision {
	if len(args) > 0 && (!args[0].known && args[0].dash || args[0].many || strings.HasPrefix(args[0].text, "-v")) {
		return ask(Caution, "printf may do more than print with "+shown(args[0].text))
	}
	if len(args) > 0 && args[0].text == "--" {
		args = args[1:]
	}
	if len(args) > 0 && (!args[0].known || assigning.MatchString(args[0].text)) {
		return ask(Caution, "printf may assign by the format "+shown(args[0].text))
	}
	return allow()
}

// judgeTest judges test and [: -v and -R evaluate a subscript in bash, and a word that is not known may be either.
func judgeTest(_ *call, name string, args []arg) Decision {
	for i, a := range args {
		if a.number {
			continue
		}
		if !a.known && a.dash && len(args) > 1 && !(i > 0 && testOperators[args[i-1].text]) &&
			!(i+1 < len(args) && binaryOperators[args[i+1].text]) && !(name == "[" && len(args) == 2) {
			return unknownWord(name, a) // it may become an operator
		}
		if compares := i > 0 && binaryOperators[args[i-1].text] || i+1 < len(args) && binaryOperators[args[i+1].text]; compares && numeric(args, i) && strings.ContainsAny(a.text, "[$`") {
			return ask(Caution, shown(name)+" may evaluate "+shown(a.text)+" as arithmetic")
		}
		if a.known && (a.text == "-v" || a.text == "-R") {
			return ask(Caution, shown(name+" "+a.text)+" may evaluate a subscript")
		}
		if a.many {
			return unknownWord(name, a)
		}
	}
	return allow()
}

// numeric reports whether the operator beside a word compares numbers.
func numeric(args []arg, at int) bool {
	for _, i := range []int{at - 1, at + 1} {
		if i < 0 || i >= len(args) {
			continue
		}
		switch args[i].text {
		case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
			return args[at].known
		}
	}
	return false
}

// binaryOperators and testOperators are the operators of test, those with a word on either side and all of them.
var binaryOperators, testOperators = map[string]bool{}, map[string]bool{}

func init() {
	for _, op := range strings.Fields("= == != < > -eq -ne -lt -le -gt -ge -nt -ot -ef") {
		binaryOperators[op], testOperators[op] = true, true
	}
	for _, op := range strings.Fields("-b -c -d -e -f -g -h -k -n -p -r -s -u -w -x -z -G -L -N -O -S") {
		testOperators[op] = true
	}
}
