package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// task is what an agent types that knows nothing but that there is a host behind ssh, and what comes of it: it works, or the gateway
// says in a line what to do instead.
type task struct {
	typed  string // for bash; the gateway is the host gw
	status int
	stdout string // a regular expression that the output matches; "" for none
	says   string // one that the gateway's lines match; "" where it has nothing to say
	engine string // "plain" or "shell" where it is a task without or with the sandbox's shell alone
	admin  bool   // an admin types it
}

// maxLines is how many lines the gateway may need to say what it has to say.
const maxLines = 2

// taskEnds is how long a task may take in a machine that has much else to do. What hangs is found by it.
const taskEnds = time.Minute

// tasksAtOnce are played at the same time: fewer than an agent has places.
const tasksAtOnce = 3

// cmdTasks plays the tasks as an agent, on a gateway that runs:
//
//	tasks plain|shell
func cmdTasks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tasks plain|shell")
	}
	config := strings.NewReplacer("Host agent\n", "Host gw\n", "Host admin\n", "Host gwadmin\n").Replace(ts.ReadFile("ssh_config"))
	ts.Check(os.WriteFile(ts.MkAbs("tasks_config"), []byte(config), 0o600))
	ts.Check(os.Mkdir(ts.MkAbs("tasks_bin"), 0o700))
	for _, program := range []string{"ssh", "scp", "sftp"} {
		path, err := exec.LookPath(program)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs("tasks_bin/"+program), fmt.Appendf(nil, "#!/bin/sh\nexec %s -F '%s' \"$@\"\n", path, ts.MkAbs("tasks_config")), 0o700)) // #nosec G306 -- a program
	}
	var failed []string
	var mu sync.Mutex
	var playing sync.WaitGroup
	places := make(chan struct{}, tasksAtOnce)
	for _, t := range tasks {
		if t.engine != "" && t.engine != args[0] {
			continue
		}
		places <- struct{}{}
		playing.Go(func() {
			defer func() { <-places }()
			if wrong := t.play(ts); wrong != "" {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, wrong)
			}
		})
	}
	playing.Wait()
	slices.Sort(failed)
	if len(failed) > 0 {
		ts.Fatalf("%d tasks: %s", len(failed), strings.Join(failed, "\n"))
	}
}

// play types the task and says what is wrong with what comes of it, "" for nothing.
func (t *task) play(ts *testscript.TestScript) string {
	ctx, cancel := context.WithTimeout(context.Background(), taskEnds)
	defer cancel()
	typed := t.typed
	if t.admin {
		typed = strings.ReplaceAll(typed, "ssh gw ", "ssh gwadmin ")
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", typed) // #nosec G204 -- the test's own
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "PATH="+ts.MkAbs("tasks_bin")+":"+os.Getenv("PATH"), "WORK="+ts.MkAbs("."))
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	status := 0
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("%s\n\tit hangs; stderr %q", t.typed, stderr.String())
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		return fmt.Sprintf("%s\n\t%v", t.typed, err)
	}
	var lines []string
	for line := range strings.Lines(stderr.String() + "\n" + stdout.String()) {
		if strings.HasPrefix(line, "shannot: ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	said := strings.Join(lines, "\n")
	var wrong []string
	if status != t.status {
		wrong = append(wrong, fmt.Sprintf("status %d, want %d", status, t.status))
	}
	if !regexp.MustCompile(t.stdout).Match(stdout.Bytes()) {
		wrong = append(wrong, fmt.Sprintf("no %s in stdout", t.stdout))
	}
	switch {
	case len(lines) > maxLines:
		wrong = append(wrong, fmt.Sprintf("%d lines of the gateway", len(lines)))
	case t.says == "" && said != "":
		wrong = append(wrong, "the gateway has something to say")
	case !regexp.MustCompile("(?s)" + t.says).MatchString(said):
		wrong = append(wrong, fmt.Sprintf("the gateway does not say %s", t.says))
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("%s\n\t%s\n\tstdout %q\n\tstderr %q", t.typed, strings.Join(wrong, "; "), stdout.String(), stderr.String())
}

// waits is what an agent is told of what a human must decide on and that it does not stay for.
const waits = `waits for a human: .*\(.*\).*come back with: wait [a-z0-9]+$`

// tasks are what agents type. What a new agent gets wrong, and what it then needs to hear, is a row.
var tasks = []task{
	// Looking.
	{typed: `ssh gw uname -s`, stdout: `^Linux\n$`},
	{typed: `ssh gw df -h /`, stdout: `Filesystem`},
	{typed: `ssh gw 'ls -la /etc | head -3'`, stdout: `total`},
	{typed: `ssh gw "ps aux | sort -rnk 3 | head -2"`, stdout: `.`},
	{typed: `ssh gw cat /etc/hostname /etc/passwd`, stdout: `root:`},
	{typed: `ssh gw 'ls /nonexistent 2>&1'`, status: 2, stdout: `No such file`},
	{typed: `ssh gw 'ls /nonexistent 2>/dev/null; echo rc=$?'`, stdout: `rc=2`},
	{typed: `ssh gw 'cd /etc && ls hostname'`, stdout: `hostname`},
	{typed: `ssh gw bash -lc "'df -h /'"`, stdout: `Filesystem`, engine: "shell"},
	{typed: `ssh gw exec --submit -- bash -lc "'df -h /'"`, status: 75, says: `type the command alone, or with -c and no other option`, engine: "plain"},
	{typed: `ssh gw "bash -c 'uname; uname -r'"`, stdout: `^Linux\n.`},
	{typed: `ssh gw "grep -c root /etc/passwd && echo found"`, stdout: `found`},
	{typed: `ssh gw "find /etc -maxdepth 1 -name 'host*' | wc -l"`, stdout: `^[0-9]+\n`},
	{typed: `ssh gw 'timeout 5 ls /etc/hostname'`, stdout: `hostname`},
	{typed: `ssh gw 'timeout 1 tail -f /etc/hostname'`, status: 124},
	{typed: `timeout 2 ssh gw tail -f /etc/hostname; test $? = 124`, stdout: `.`},
	{typed: `ssh gw 'for i in 1 2 3; do echo $i; done'`, stdout: "^1\n2\n3\n$"},
	{typed: `ssh gw "echo 'a b'  c | tr a-z A-Z"`, stdout: `^A B C\n$`},
	{typed: `ssh gw nosuchprogram --help`, status: 127, says: `nosuchprogram: command not found on local`, engine: "plain"},
	{typed: `ssh gw 'echo "unclosed'`, status: 64, says: `quote|read`, engine: "plain"},
	{typed: `echo data | ssh gw wc -c`, stdout: `5`},

	// Scripts.
	{typed: "ssh gw <<'EOF'\nprint(6*7)\nEOF", stdout: `^42\n$`},
	{typed: "ssh gw python3 - one two <<'EOF'\nimport sys\nprint(sys.argv[1:])\nEOF", stdout: `\['one', 'two'\]`},
	{typed: `ssh gw "python3 -c 'print(1+1)'"`, stdout: `^2\n$`},
	{typed: `ssh gw run -c "'print(1)'"`, stdout: `^1\n$`},
	{typed: `echo 'import sys; sys.exit(3)' | ssh gw`, status: 3},
	{typed: `echo 'print("x"' | ssh gw`, status: 1},
	{typed: `echo 'import requests' | ssh gw`, status: 1},
	{typed: `echo 'import urllib.request as r; r.urlopen("http://192.0.2.1/")' | ssh gw 2>&1 | tail -3`, stdout: `no network`},
	{typed: `echo 'import subprocess; print(subprocess.run("uname", capture_output=True, text=True).stdout)' | ssh gw`, stdout: `Linux`},
	{typed: `echo 'open("/tmp/x","w").write("hi"); print(open("/tmp/x").read())' | ssh gw`, stdout: `hi`},
	{typed: `echo 'import os; print(os.path.exists("/etc/shadow"))' | ssh gw`, stdout: `False`, says: `^shannot: the read policy does not show /etc/shadow, whether it is there or not.*ls -ld`},
	{typed: `ssh gw python3 check.py`, status: 64, says: `ssh HOST python3 - < check.py`},
	{typed: `mkdir -p app && echo 'print("zipped")' > app/__main__.py && python3 -m zipapp app -o app.pyz && ssh gw run - < app.pyz`, stdout: `zipped`},
	{typed: `: | ssh gw`, status: 65, says: `the script is empty; send one on stdin: ssh HOST < script.py`},
	{typed: `printf 'print("no newline")' | ssh gw run -`, stdout: `no newline`},
	{typed: `echo 'print(1)' | ssh gw run --json | head -c 7`, stdout: `^\{"v":1,`},

	// Changes.
	{typed: `ssh gw exec --submit -- rm -f /srv/nothing`, status: 75, says: `rm as a command cannot be rolled back, os.remove in a script can.*` + waits[len(`waits for a human: .*\(.*\).*`):]},
	{typed: `ssh gw "exec --submit -- L=/etc; ls \$L"`, status: 75, says: `changes the variable L; write its value out to run at once`, engine: "plain"},
	{typed: `ssh gw exec --submit -- apt install -y cowsay`, status: 75, says: waits},
	{typed: `ssh gw exec --submit -- "sh -c 'rm -f /srv/nothing'"`, status: 75, says: waits, engine: "plain"},
	{typed: `echo 'import os; os.makedirs("/srv/x")' | ssh gw run --submit`, status: 75, says: `it can be rolled back.*come back with: wait`},
	{typed: `echo 'import subprocess; subprocess.run(["rm","-f","/srv/nothing"])' | ssh gw run --plan 2>&1 | grep -c 'plan 1: ask .*undo: no'`, stdout: `^1\n`},
	{typed: `ssh gw exec --plan -- rm -f /srv/nothing`, says: `plan 1: ask .*planned: 1 operations`},
	{typed: `ssh gw mkfs /dev/none`, status: 77, says: `denied by policy`},
	{typed: `ssh gw policy -- systemctl restart nginx`, stdout: `^ask`},

	// Words that stand for something else.
	{typed: `ssh gw undo`, status: 64, says: `an approver .* type: rollback ID$`},
	{typed: `ssh gw undo abcd2345`, status: 64, says: `an approver .* type: rollback abcd2345$`},
	{typed: `ssh gw restore abcd2345`, status: 64, says: `an approver .* type: rollback abcd2345$`},
	{typed: `ssh gw rollback abcd2345`, status: 77, says: `type: rollback abcd2345$`},
	{typed: `ssh gw history`, status: 64, says: `list --all`},
	{typed: `ssh gw web1 uptime`, status: 64, says: `exec --target web1 -- uptime`},
	{typed: `ssh gw web1`, status: 64, says: `exec --target web1 -- COMMAND`},
	{typed: `ssh gw run --target web1 -- uptime`, status: 64, says: `exec --target web1 -- uptime`},
	{typed: `ssh gw exec --target nosuch -- uptime`, status: 69, says: `targets`},
	{typed: `ssh gw approve`, status: 77, says: `may not use approve`},
	{typed: `ssh gw wait`, status: 64, says: `the session's id is missing`},

	// Terminals and shells.
	{typed: `ssh -tt gw bash < /dev/null`, status: 64, says: `no shell to type into.*ssh -t HOST python3`},
	{typed: `ssh gw bash < /dev/null`, status: 64, says: `no shell to type into`, engine: "plain"},
	{typed: `ssh gw bash < /dev/null`, status: 65, says: `the script is empty; send one on stdin`, engine: "shell"},
	{typed: `echo uname | ssh gw bash -s`, stdout: `Linux`, engine: "shell"},
	{typed: `echo uname | ssh gw bash`, stdout: `Linux`, engine: "shell"},
	{typed: `ssh gw vi /etc/hosts`, status: 64, says: `vi needs a terminal.*scp`},
	{typed: `ssh gw vim /etc/hosts < /dev/null`, status: 64, says: `vim needs a terminal`},
	{typed: `ssh gw sudo vi /etc/hosts`, status: 64, says: `vi needs a terminal`},
	{typed: `ssh gw top`, status: 64, says: `top -b -n 1`},

	// Files.
	{typed: `scp -q gw:/local/etc/hostname got && test -s got`},
	{typed: `scp -q gw:/etc/hostname got2`, status: 1, says: `paths begin with a target, which /etc/hostname does not: .*/local`},
	{typed: `scp -q gw:/local/etc/shadow got3`, status: 1, says: `the read policy does not show /etc/shadow`},
	{typed: `scp -O -q gw:/local/etc/shadow got4 2>&1 | grep -o 'permission denied' | head -1`, stdout: `permission denied`},
	{typed: `echo 'ls /local/etc/hostname' | sftp -q -b - gw`, stdout: `hostname`},

	// Help.
	{typed: `ssh gw help`, stdout: `(?s)targets.*scp.*/local/`},
	{typed: `ssh gw help | awk 'length > 80'`, stdout: `^$`},
	{typed: `ssh gw help python3`, stdout: `ssh HOST python3 - `},
	{typed: `ssh gw help scp`, stdout: `scp HOST:/local/`},
	{typed: `ssh gw help nosuch`, status: 64, says: `see: help`},
	{typed: `ssh gw targets`, stdout: `local`},
	{typed: `ssh gw whoami`, stdout: `agent`},
}
