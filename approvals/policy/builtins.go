package policy

import (
	"strings"
)

// judgePrintf judges printf: with -v bash assigns, and evaluates a subscript in the name.
func judgePrintf(_ *call, name string, args []arg) Decision {
	if len(args) > 0 && (!args[0].known && args[0].dash || args[0].many || strings.HasPrefix(args[0].text, "-v")) {
		return ask(Caution, "printf may do more than print with "+shown(args[0].text))
	}
	return allow()
}

// judgeTest judges test and [: -v and -R evaluate a subscript in bash, and a word that is not known may be either.
func judgeTest(_ *call, name string, args []arg) Decision {
	for _, a := range args {
		if a.known && (a.text == "-v" || a.text == "-R") {
			return ask(Caution, shown(name+" "+a.text)+" may evaluate a subscript")
		}
		if a.many {
			return unknownWord(name, a)
		}
	}
	return allow()
}
