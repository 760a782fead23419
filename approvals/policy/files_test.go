package policy_test

import (
	"strings"
	"testing"

	"shannot-gateway/approvals/policy"
)

// TestCommandThatShowsAHiddenFileAsks: an allowed program must not show what the read policy hides from scripts.
func TestCommandThatShowsAHiddenFileAsks(t *testing.T) {
	j := defaultJudge(t)
	tests := []struct {
		text string
		want policy.Verdict
	}{
		{"cat /etc/shadow", policy.Ask},
		{"cat /etc/hosts /etc/shadow", policy.Ask},
		{"cat /etc//./x/../shadow", policy.Ask},
		{`cat /etc/sh"ad"ow`, policy.Ask},
		{"cat /etc/sh*", policy.Ask},
		{"cat /etc/shado?", policy.Ask},
		{"cat /etc/[s]hadow", policy.Ask},
		{"head -n 1 /etc/*", policy.Ask},
		{"cat < /etc/shadow", policy.Ask},
		{"wc -l < /etc/gshadow-", policy.Ask},
		{"while read -r l; do echo \"$l\"; done < /etc/shadow", policy.Ask},
		{"echo \"$(< /etc/shadow)\"", policy.Ask},
		{"cd /etc; cat shadow", policy.Ask},
		{"cd /; cd etc; cat shadow", policy.Ask},
		{"cd \"$x\" && cat shadow", policy.Ask},
		{"(cd /etc && cat shadow)", policy.Ask},
		{"f=/etc/shadow; cat \"$f\"", policy.Ask},
		{"for f in /etc/hosts /etc/shadow; do cat \"$f\"; done", policy.Ask},
		{"for f in hosts shadow; do cat /etc/$f; done", policy.Ask},
		{"for f in /etc/sh*; do cat \"$f\"; done", policy.Ask},
		{"cat /etc/{hosts,shadow}", policy.Ask},
		{"cat /proc/self/root/etc/shadow", policy.Ask},
		{"cat /proc/1/root/proc/1/root/etc/shadow", policy.Ask},
		{"cat /proc/self/cwd/shadow", policy.Ask},
		{"cat /proc/1/task/1/root/etc/shadow", policy.Ask},
		{"cat /proc/1/environ", policy.Ask},
		{"tr '\\0' '\\n' < /proc/self/environ", policy.Ask},
		{"cat /proc/*/environ", policy.Ask},
		{"cat ~/.ssh/id_ed25519", policy.Ask},
		{"cat ~root/.ssh/id_rsa", policy.Ask},
		{"cat $HOME/.ssh/id_rsa", policy.Ask},
		{"cat /home/$USER/.ssh/id_rsa", policy.Ask},
		{"cd ~/.ssh && cat id_rsa", policy.Ask},
		{"cd ~; cat .ssh/id_rsa", policy.Ask},
		{"cat /home/*/.bash_history", policy.Ask},
		{"cat /etc/ssh/*", policy.Ask},
		{"grep -f/etc/shadow /etc/hosts", policy.Ask},
		{"grep -nf/etc/shadow /etc/hosts", policy.Ask},
		{"cd /etc; grep -fshadow hosts", policy.Ask},
		{"diff --from-file=/etc/shadow /etc/hosts", policy.Ask},
		{"diff --from-file /etc/shadow /etc/hosts", policy.Ask},
		{"date -f /etc/shadow", policy.Ask},
		{"sort /etc/shadow", policy.Ask},
		{"awk 1 /etc/shadow", policy.Ask},
		{"sed -n p /etc/shadow", policy.Ask},
		{"sed 'r /etc/shadow' /etc/hosts", policy.Ask},
		{"sed -n '1R/etc/shadow' /etc/hosts", policy.Ask},
		{"find /etc -maxdepth 0 -exec cat /etc/shadow {} +", policy.Ask},
		{"xargs -a /etc/shadow", policy.Ask},
		{"xargs -a/etc/shadow echo", policy.Ask},
		{"timeout 5 cat /etc/shadow", policy.Ask},
		{"sh -c 'cat /etc/shadow'", policy.Ask},
		{"jq -R --rawfile x /etc/shadow . /etc/hosts", policy.Ask},
		{"rg . /etc/shadow", policy.Ask},
		{"rg --file=/etc/shadow . /etc", policy.Ask},
		{"openssl pkey -in /etc/ssl/private/x.key -noout -text", policy.Ask},
		{"getent shadow", policy.Ask},
		{"strings /dev/sda", policy.Ask},
		{"hexdump -C /dev/mem", policy.Ask},
		{"cat /dev/kmsg", policy.Ask},
		{"cat /dev/sd*", policy.Ask},
		{"head -c 512 < /dev/sda1", policy.Ask},

		{"cat /proc/self/root/../etc/shadow", policy.Ask},
		{"cat /usr/lib/ssl/../x", policy.Ask},
		{"cat ../../etc/shadow", policy.Ask},
		{"cd /etc || cd /srv; cat shadow", policy.Ask},
		{"cd /srv || cd /etc; cat shadow", policy.Ask},
		{"if false; then cd /srv; else cd /etc; fi; cat shadow", policy.Ask},
		{"cd /etc; cd /srv; cd -; cat shadow", policy.Ask},
		{"cd / || cd /srv; cd etc; cat shadow", policy.Ask},
		{"command cd /etc; cat shadow", policy.Ask},
		{"builtin cd /etc && cat shadow", policy.Ask},
		{"cd /a; cd /b; cd /c; cd /d; cd /e; cd /f; cd /g; cd /h; cd /i; cd /j; cd /k; cd /l; cd /m; cd ../etc; cat shadow", policy.Ask},
		{"cd /etc; pushd /srv; popd; cat shadow", policy.Ask},
		{"cd /root/.ssh; cd; cat .ssh/id_rsa", policy.Ask},
		{"find /etc/shadow -exec cat {} \\;", policy.Ask},
		{"find /etc -name shadow -exec cat {} +", policy.Ask},
		{"find /etc -path /etc/shadow -exec head {} \\;", policy.Ask},
		{"echo /etc/shadow | xargs cat", policy.Ask},
		{"ls /etc/shadow | xargs -n1 head", policy.Ask},
		{"find /etc/shadow | xargs cat", policy.Ask},
		{"cat $(echo /etc/shadow)", policy.Ask},
		{"cat \"$(ls /etc/shadow)\"", policy.Ask},
		{"cat `printf %s /etc/shadow`", policy.Ask},
		{"grep x $(find /etc/ssh/ssh_host_rsa_key)", policy.Ask},
		{"cat $(echo $(echo /etc/shadow))", policy.Ask},

		// Names and numbers are not content.
		{"find /etc -name shadow -exec ls -l {} +", policy.Allow},
		{"ls -l /etc/shadow | cat", policy.Allow},
		{"echo \"$(stat -c %a /etc/shadow)\"", policy.Allow},
		{"find /etc -name '*.conf' -exec grep -l root {} +", policy.Allow},
		{"find /etc -type f -exec md5sum {} +", policy.Allow},
		{"cd /srv && cat ../opt/x", policy.Allow},
		{"cd /etc && cat hosts; cd /var/log && tail syslog", policy.Allow},
		{"ls /etc | xargs -n1 echo", policy.Allow},
		{"ls -l /etc/shadow /etc/ssl/private", policy.Allow},
		{"stat /etc/shadow", policy.Allow},
		{"find /etc -name shadow", policy.Allow},
		{"find / -path /etc/shadow -newer /etc/gshadow", policy.Allow},
		{"du -sh /home/*/.ssh", policy.Allow},
		{"test -r /etc/shadow && echo readable", policy.Allow},
		{"[ -f ~/.ssh/id_rsa ] && echo there", policy.Allow},
		{"echo /etc/shadow", policy.Allow},
		{"readlink -f /proc/1/exe", policy.Allow},
		{"ls -l /proc/self/fd", policy.Allow},
		{"lsof -n /etc/shadow", policy.Allow},
		{"ls /dev", policy.Allow},
		{"lsblk /dev/sda", policy.Allow},
		{"df /dev/sda1", policy.Allow},
		{"getfacl /etc/shadow", policy.Allow},

		// And what is not hidden is not asked for.
		{"cat /etc/passwd /etc/hosts", policy.Allow},
		{"cat /etc/*.conf", policy.Allow},
		{"cat /etc/cron.d/*", policy.Allow},
		{"for f in /etc/cron.d/*; do wc -l \"$f\"; done", policy.Allow},
		{"tail -n 5 /var/log/*.log", policy.Allow},
		{"cat /etc/ssh/sshd_config", policy.Allow},
		{"cat ~/.bashrc", policy.Allow},
		{"cat ~/.ssh/known_hosts ~/.ssh/authorized_keys", policy.Allow},
		{"cat shadows.txt", policy.Allow},
		{"cat /srv/app/shadow", policy.Allow},
		{"grep shadow /etc/nsswitch.conf", policy.Allow},
		{"grep -n 'shadow' /var/log/auth.log", policy.Allow},
		{"cat /proc/1/status /proc/1/cmdline /proc/1/root/etc/hosts", policy.Allow},
		{"head -c 16 /dev/urandom | xxd", policy.Allow},
		{"cat /dev/null", policy.Allow},
		{"cat /dev/stdin", policy.Allow},
		{"diff <(ls /bin) <(ls /sbin)", policy.Allow},
	}
	for _, tt := range tests {
		d := j.Shell(tt.text, policy.Context{})
		if d.Verdict != tt.want {
			t.Errorf("%s is %s (%s), want %s", tt.text, d.Verdict, d.Reason, tt.want)
		}
	}
}

func TestRelativeNameIsJudgedWhereTheCommandRuns(t *testing.T) {
	j := defaultJudge(t)
	for _, tt := range []struct {
		dir, text string
		want      policy.Verdict
	}{
		{"/etc", "cat shadow", policy.Ask},
		{"/etc", "cat ./shadow", policy.Ask},
		{"/etc/cron.d", "cat ../shadow", policy.Ask},
		{"/home/a", "cat .ssh/id_rsa", policy.Ask},
		{"/home/a/.ssh", "cat id_rsa", policy.Ask},
		{"/srv", "cat shadow", policy.Allow},
		{"/srv", "cat .ssh/config", policy.Allow},
		{"/", "rm -rf *", policy.Deny},
		{"/etc", "rm -rf .", policy.Deny},
		{"/srv/app", "rm -rf *", policy.Ask},
		{"/", "find . -delete", policy.Deny},
	} {
		ctx := policy.Context{Dir: tt.dir}
		if d := j.Shell(tt.text, ctx); d.Verdict != tt.want {
			t.Errorf("in %s, %s is %s (%s), want %s", tt.dir, tt.text, d.Verdict, d.Reason, tt.want)
		}
		if strings.Contains(tt.text, "*") {
			continue
		}
		if d := j.Argv(strings.Fields(tt.text), ctx); d.Verdict != tt.want {
			t.Errorf("in %s, %s without a shell is %s (%s), want %s", tt.dir, tt.text, d.Verdict, d.Reason, tt.want)
		}
	}
}

// TestReadListBoundsCommandsToo: where the configuration lists what may be read, the rest asks.
func TestReadListBoundsCommandsToo(t *testing.T) {
	j, err := policy.New(policy.Profile{
		AutoApprove: policy.DefaultProfile().AutoApprove, Read: []string{"/etc", "/var/log"}, Hide: []string{"/etc/secret", "/opt/secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]policy.Verdict{
		"cat /etc/hosts": policy.Allow, "cat /etc/secret": policy.Ask, "cat /etc/secret/x": policy.Ask, "cat /srv/x": policy.Ask,
		"cat ../x": policy.Ask, "ls /srv": policy.Allow, "systemctl status nginx": policy.Allow, "ps aux": policy.Allow,
		"grep a/b /etc/hosts": policy.Allow, "tail /var/log/x": policy.Allow, "cat < /srv/x": policy.Ask, "cat /opt/secret": policy.Ask,
		"date +%Y/%m": policy.Allow, "sed s/a/b/ /etc/hosts": policy.Allow, "head -c 3 /dev/urandom": policy.Ask,
	} {
		if d := j.Shell(text, policy.Context{}); d.Verdict != want {
			t.Errorf("%s is %s (%s), want %s", text, d.Verdict, d.Reason, want)
		}
	}
	if _, err := policy.New(policy.Profile{Hide: []string{"relative"}}); err == nil {
		t.Error("a pattern without a slash was taken")
	}
}
