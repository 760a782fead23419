package policy

import (
	"strings"
	"testing"
)

func TestSimpleCommandsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"nosuch --x": "nosuch", "  df -h / ": "df", "LC_ALL=C df": "df", "df > /tmp/x 2>&1": "df", "sudo df": "sudo", "df &": "df",
		// A path, a part of the shell, what is known only later, more than one command, a search path of its own.
		"/bin/df": "", "./x": "", "cd /": "", "echo x": "", "history": "", "$X y": "", "d$X": "", `"df" x`: "", "df; ls": "", "df | wc": "",
		"a && b": "", "(df)": "", "x=1": "", "PATH=/opt/bin:$PATH tool": "", "if true; then df; fi": "", "f() { df; }": "", "": "", "# x": "",
		"~/x": "", "d?": "", `\df`: "", "{df,-h}": "",
	} {
		if got, err := SimpleCommand(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestTextThatNoShellRunsIsAnError(t *testing.T) {
	for _, text := range []string{`echo "unclosed`, "ls && (", "if true", "echo $(", "a | | b", "for", "\x1b[2J("} {
		if _, err := SimpleCommand(text); err == nil {
			t.Errorf("%q can be read", text)
		}
	}
	for _, text := range []string{"[[ a == b ]]", "x=(1 2)", "cat <<E\nx\nE", "function f { :; }", "echo {1..3}", "case x in (x) ;; esac"} {
		if _, err := SimpleCommand(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A parser that goes down without end ends the process with its stack. What is too deep for it is for the policy to judge.
func TestTextThatIsTooDeepIsNotParsed(t *testing.T) {
	for _, piece := range []string{"(", "((", "$[", "$(", "{ ", "`", "a[", "${a[", "if ", "<(", "$(("} {
		if program, err := SimpleCommand(strings.Repeat(piece, 256<<10/len(piece))); program != "" || err != nil {
			t.Errorf("%s…: %q, %v", piece, program, err)
		}
	}
}

func FuzzSimpleCommand(f *testing.F) {
	f.Add("df -h / | wc -l")
	f.Add("echo \"$(")
	f.Fuzz(func(t *testing.T, text string) {
		if name, err := SimpleCommand(text); err != nil && name != "" {
			t.Errorf("%q: %q and %v", text, name, err)
		}
	})
}
