package policy

import "strings"

// avoidances say how to write what the policy asks about so that it need not: by what a reason of its contains. The first that fits
// counts. A reason quotes words of the command, so that a hint may miss: it is advice, and decides nothing.
var avoidances = []struct{ reason, hint string }{
	{"changes of files come before it", "run it before the changes, or write below /tmp"},
	{"which is hidden by the read policy", "leave the hidden file out to run at once"},
	{"hands the name of", "leave the hidden file out to run at once"},
	{" changes the variable ", "write its value out to run at once"},
	{"changes the variable ", "write its value out to run at once"},
	{"the assignment to ", "write its value out to run at once"},
	{"removes the variable ", "leave that out to run at once"},
	{"assigns the variable ", "leave that out to run at once"},
	{"before the shell expands", "write it out, without variables and patterns, to run at once"},
	{"writes ", "leave the redirection out, and the output comes to you at once"},
	{" writes a file with -", "leave the option out, and the output comes to you at once"},
	{" is started with -", "type the command alone, or with -c and no other option, to run at once"},
	{"a command is left running", "leave out the & to run at once"},
	{"leaves a command running", "leave it out to run at once"},
	{"declares a function", "write its commands out to run at once"},
	{"arithmetic", "write the number out to run at once"},
	{"read alike by every shell", "write it more simply, or as a Python script, to run at once"},
	{"is not understood", "write it more simply, or as a Python script, to run at once"},
	{"nested too deep", "write it more simply, or as a Python script, to run at once"},
	{"may do more than read with ", "leave that out to run at once"},
	{"is not in a system directory", "name a program of the system to run at once"},
	{"in auto_approve with other words only", "see what is allowed with: policy -- COMMAND"},
}

// Avoid says how a command whose reason to be asked about this is may be written so that it runs at once; "" where that is not known.
// It is one line, of the program's own words.
func Avoid(reason string) string {
	for _, a := range avoidances {
		if strings.Contains(reason, a.reason) && (a.reason != "writes " || strings.HasSuffix(reason, " by redirection")) {
			return a.hint
		}
	}
	return ""
}

// inPython are programs whose work a script can do itself, by what: a change of a file that a script makes can be rolled back.
var inPython = map[string]string{
	"rm": "os.remove", "unlink": "os.remove", "rmdir": "os.rmdir", "mv": "os.rename", "cp": "shutil.copy", "install": "shutil.copy",
	"mkdir": "os.mkdir", "ln": "os.symlink", "chmod": "os.chmod", "chown": "os.chown", "touch": "open(..., 'a')",
	"tee": "open(..., 'w')", "truncate": "os.truncate", "sed": "open(..., 'w')",
}

// InPython is what does a program's work in a script, where a rollback puts back what it has changed; "" for most programs.
func InPython(program string) string { return inPython[program] }
