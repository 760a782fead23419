package audit

import (
	"strings"
	"testing"
)

func TestSecretsAreTakenOutOfTexts(t *testing.T) {
	r, err := NewRedactor([]string{`badge-\d+`, `employee (\w+) of (\w+)`})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"df -h /", "df -h /"},
		{"mkdir -p /srv/data", "mkdir -p /srv/data"},
		{"ssh -p 2222 host", "ssh -p 2222 host"},
		{"docker run -p 80:80 nginx", "docker run -p 80:80 nginx"},
		{"cat /etc/passwd", "cat /etc/passwd"},
		{"passwd -l bob", "passwd -l bob"},
		{"psql password=hunter2 host=db", "psql password=[redacted] host=db"},
		{"DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[redacted] ./run"},
		{"tool --password hunter2 --verbose", "tool --password [redacted] --verbose"},
		{"tool --password=hunter2", "tool --password=[redacted]"},
		{`tool --password "hunter 2" x`, "tool --password [redacted] x"},
		{"tool --password 'hunter 2' x", "tool --password [redacted] x"},
		{"tool --api-key abc", "tool --api-key [redacted]"},
		{"X_AUTH_TOKEN=abc run", "X_AUTH_TOKEN=[redacted] run"},
		{`{"secret": "abc", "x": 1}`, `{"secret": [redacted], "x": 1}`},
		{"curl -H 'Authorization: Bearer abcdef' https://x", "curl -H 'Authorization: [redacted]' https://x"},
		{"curl -H 'authorization:token abcdef' https://x", "curl -H 'authorization:[redacted]' https://x"},
		{"curl -u bob:hunter2 https://x", "curl -u [redacted] https://x"},
		{"curl https://bob:hunter2@example.com/x", "curl https://bob:[redacted]@example.com/x"},
		{"git clone https://example.com/a:b@c", "git clone https://example.com/a:b@c"},
		{"mysql -u root -phunter2 db", "mysql -u root -p[redacted] db"},
		{"mysqldump -p'hunter 2' db", "mysqldump -p[redacted] db"},
		{"mysql -p db", "mysql -p db"},
		{"'--token=[redacted]' x", "'--token=[redacted]' x"},
		{"sshpass -p hunter2 ssh host", "sshpass -p [redacted] ssh host"},
		{"aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE", "aws configure set aws_access_key_id [redacted]"},
		{"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG run", "AWS_SECRET_ACCESS_KEY=[redacted] run"},
		{"echo ghp_abcdefghijklmnopqrstuvwxyz0123", "echo [redacted]"},
		{"echo eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSM", "echo [redacted]"},
		{"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----"},
		{"-----BEGIN PRIVATE KEY----- cut", "-----BEGIN PRIVATE KEY-----[redacted]"},
		{"curl -H 'Cookie: sid=hunter2; lang=de' https://x", "curl -H 'Cookie: [redacted]' https://x"},
		{"curl -HCookie:sid=hunter2 https://x", "curl -HCookie:[redacted] https://x"},
		{`curl -H "X-Api-Key: hunter2" -H "Accept: text/html" https://x`, `curl -H "X-Api-Key: [redacted]" -H "Accept: text/html" https://x`},
		{"curl -H X-Vault-Auth:hunter2 https://x", "curl -H X-Vault-Auth:[redacted] https://x"},
		{`curl --header="x-custom: hunter 2" https://x`, `curl --header="x-custom: [redacted]" https://x`},
		{"curl -b sid=hunter2 https://x", "curl -b [redacted] https://x"},
		{"curl --cookie 'sid=hunter2' https://x", "curl --cookie [redacted] https://x"},
		{"echo bob:hunter2 | chpasswd", "echo [redacted]| chpasswd"},
		{"echo 'bob:hunter|2' | sudo chpasswd -e", "echo [redacted]| sudo chpasswd -e"},
		{"printf '%s\n' bob:hunter2 | /usr/sbin/chpasswd", "printf [redacted]| /usr/sbin/chpasswd"},
		{"chpasswd <<< bob:hunter2", "chpasswd <<< [redacted]"},
		{"chpasswd <<EOF\nbob:hunter2\nEOF", "chpasswd <<EOF\n[redacted]"},
		{"echo hunter2 | sudo -S systemctl restart x", "echo [redacted]| sudo -S systemctl restart x"},
		{"echo hunter2|sudo -kS id", "echo [redacted]|sudo -kS id"},
		{"echo hunter2 | sudo -u root -S id", "echo [redacted]| sudo -u root -S id"},
		{"echo hunter2 | passwd --stdin bob", "echo [redacted]| passwd --stdin bob"},
		{"echo hunter2 | docker login -u bob --password-stdin", "echo [redacted]| docker login -u bob --password-stdin"},
		{"echo hello | sort -S 10M", "echo hello | sort -S 10M"},
		{"echo hello | grep sudo", "echo hello | grep sudo"},
		{"docker login -u bob -p hunter2 registry", "docker login -u bob -p [redacted] registry"},
		{"docker run -p 80:80 nginx; docker login -phunter2", "docker run -p 80:80 nginx; docker login -p[redacted]"},
		{"zip -P hunter2 x.zip file", "zip -P [redacted] x.zip file"},
		{"unzip -Phunter2 x.zip", "unzip -P[redacted] x.zip"},
		{"7z x -phunter2 x.7z", "7z x -p[redacted] x.7z"},
		{"redis-cli -a hunter2 ping", "redis-cli -a [redacted] ping"},
		{"ldapsearch -x -w hunter2 -b dc=x", "ldapsearch -x -w [redacted] -b dc=x"},
		{"openssl enc -aes-256-cbc -pass pass:hunter2 -in x", "openssl enc -aes-256-cbc -pass [redacted] -in x"},
		{"openssl rsa -passin pass:hunter2", "openssl rsa -passin [redacted]"},
		{"htpasswd -b /etc/x bob hunter2", "htpasswd -b /etc/x bob [redacted]"},
		{"htpasswd -nb bob hunter2", "htpasswd -nb bob [redacted]"},
		{`{"clientSecret" :  "hunter2"}`, `{"clientSecret" :  [redacted]}`},
		{`curl -d "{\"password\": \"hunter 2\", \"x\": 1}" y`, `curl -d "{\"password\": [redacted], \"x\": 1}" y`},
		{`{"credentials": {"user": "a", "data": "hunter2"}, "x": 1}`, `{"credentials": [redacted], "x": 1}`},
		{`{"auth": "aHVudGVyMg=="}`, `{"auth": [redacted]}`},
		{`{"tokens": ["hunter2", "hunter3"]}`, `{"tokens": [redacted]}`},
		{"curl -u bob:hunter2 -b 'a=1; b=2' -s https://x", "curl -u [redacted] -b [redacted] -s https://x"},
		{"ssh-keygen -p -P hunter2 -N hunter3 -f k", "ssh-keygen -p -P [redacted] -N [redacted] -f k"},
		{"sshpass -p 'hunter|2' ssh host; mkdir -p x", "sshpass -p [redacted] ssh host; mkdir -p x"},
		{"mysql -phunter2 a && mysql -phunter3 b", "mysql -p[redacted] a && mysql -p[redacted] b"},
		{"zip -rP hunter2 x.zip d", "zip -rP [redacted] x.zip d"},
		{"cat <<EOF | sudo chpasswd\nbob:hunter2\nEOF", "cat <<EOF | sudo chpasswd\n[redacted]"},
		{"yes hunter2 | passwd bob", "yes [redacted]| passwd bob"},
		{"echo hunter2 | gh auth login --with-token", "echo [redacted]| gh auth login --with-token"},
		{"gh auth login --with-token <<< hunter2", "gh auth login --with-token <<< [redacted]"},
		{"rsync --password-file=<(echo hunter2) a b", "rsync --password-file=[redacted] a b"},
		{`mysql -e "ALTER USER a IDENTIFIED BY 'hunter2'"`, `mysql -e "ALTER USER a IDENTIFIED BY [redacted]"`},
		{`psql -c "CREATE ROLE a WITH LOGIN PASSWORD 'hunter2'"`, `psql -c "CREATE ROLE a WITH LOGIN PASSWORD [redacted]"`},
		{"mysqladmin -u root password hunter2", "mysqladmin -u root password [redacted]"},
		{"nmcli dev wifi connect x password hunter2", "nmcli dev wifi connect x password [redacted]"},
		{"aws configure set aws_secret_access_key hunter2", "aws configure set aws_secret_access_key [redacted]"},
		{"npm config set //registry/:_authToken hunter2", "npm config set //registry/:_authToken [redacted]"},
		{"ssh-keygen -t rsa -N 'hunter 2' -f k", "ssh-keygen -t rsa -N [redacted] -f k"},
		{"openssl passwd -6 hunter2", "openssl passwd -6 [redacted]"},
		{"vault login hunter2", "vault login [redacted]"},
		{"rabbitmqctl add_user bob hunter2", "rabbitmqctl add_user bob [redacted]"},
		{"wpa_passphrase net hunter2", "wpa_passphrase net [redacted]"},
		{"sqlplus bob/hunter2@db", "sqlplus bob/[redacted]@db"},
		{"twine upload -u bob -p hunter2 x", "twine upload -u bob -p [redacted] x"},
		{"tool --license-key hunter2", "tool --license-key [redacted]"},
		{"curl 'https://x/?a=b&key=hunter2&c=d'", "curl 'https://x/?a=b&key=[redacted]&c=d'"},
		{`curl -d '{"user":"a","pin":"hunter2"}' x`, `curl -d '{"user":"a","pin":[redacted]}' x`},
		{"os.environ['API_KEY']='hunter2'", "os.environ['API_KEY']=[redacted]"},
		{"cat <<EOF | sort\nbob\nEOF", "cat <<EOF | sort\nbob\nEOF"},
		{"openssl passwd -6 -stdin", "openssl passwd -6 -stdin"},
		{"vault status; git config --list", "vault status; git config --list"},
		{"set -o pipefail; ls", "set -o pipefail; ls"},
		{"systemctl set-environment A=b", "systemctl set-environment A=b"},
		{"grep -r password /etc/app", "grep -r password /etc/app"},
		{"enter badge-123 now", "enter [redacted] now"},
		{"employee bob of acme", "employee [redacted] of [redacted]"},
	} {
		if got := r.Text(c.text); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
		if again := r.Text(c.want); again != c.want {
			t.Errorf("the second time: %s", again)
		}
	}
}

func TestArgumentsAreSecretsAsAWhole(t *testing.T) {
	r, err := NewRedactor(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ argv, want []string }{
		{[]string{"tool", "--password=a b c"}, []string{"tool", "--password=[redacted]"}},
		{[]string{"tool", "PASSWORD=a\nb"}, []string{"tool", "PASSWORD=[redacted]"}},
		{[]string{"tool", "--token", "a b", "--x", "y"}, []string{"tool", "--token", "[redacted]", "--x", "y"}},
		{[]string{"/usr/bin/sshpass", "-p", "a b", "ssh"}, []string{"/usr/bin/sshpass", "-p", "[redacted]", "ssh"}},
		{[]string{"curl", "-u", "bob:a b", "x"}, []string{"curl", "-u", "[redacted]", "x"}},
		{[]string{"mkdir", "-p", "x"}, []string{"mkdir", "-p", "x"}},
		{[]string{"curl", "-H", "Cookie: a=b; c=d e", "x"}, []string{"curl", "-H", "Cookie:[redacted]", "x"}},
		{[]string{"curl", "-HX-Key: a b"}, []string{"curl", "-HX-Key:[redacted]"}},
		{[]string{"docker", "login", "-p", "a b"}, []string{"docker", "login", "-p", "[redacted]"}},
		{[]string{"docker", "run", "-p", "80:80"}, []string{"docker", "run", "-p", "80:80"}},
		{[]string{"zip", "-Pa b", "x.zip"}, []string{"zip", "-P[redacted]", "x.zip"}},
		{[]string{"/usr/bin/mysqldump", "-pa b", "db"}, []string{"/usr/bin/mysqldump", "-p[redacted]", "db"}},
		{[]string{"mysql", "-p", "db"}, []string{"mysql", "-p", "db"}},
		{[]string{"/usr/bin/htpasswd", "-b", "f", "bob", "a b"}, []string{"/usr/bin/htpasswd", "-b", "f", "bob", "[redacted]"}},
		{[]string{"rabbitmqctl", "add_user", "bob", "a b"}, []string{"rabbitmqctl", "add_user", "bob", "[redacted]"}},
		{[]string{"vault", "login", "hunter2"}, []string{"vault", "login", "[redacted]"}},
		{[]string{"vault", "read", "secret/x"}, []string{"vault", "read", "secret/x"}},
		{[]string{"openssl", "passwd", "-6", "hunter2"}, []string{"openssl", "passwd", "-6", "[redacted]"}},
		{[]string{"openssl", "x509", "-in", "f"}, []string{"openssl", "x509", "-in", "f"}},
		{[]string{"ssh-keygen", "-N", "a b", "-f", "k"}, []string{"ssh-keygen", "-N", "[redacted]", "-f", "k"}},
		{[]string{"git", "-c", "http.extraHeader=Authorization: Basic aHVudGVyMg==", "fetch"}, []string{"git", "-c", "http.extraHeader=Authorization: [redacted]", "fetch"}},
		{[]string{"sh", "-c", "echo u:p | chpasswd"}, []string{"sh", "-c", "echo [redacted]| chpasswd"}},
		{[]string{"ls", "-l"}, []string{"ls", "-l"}},
	} {
		before := strings.Join(c.argv, "|")
		if got := strings.Join(r.Argv(c.argv), "|"); got != strings.Join(c.want, "|") {
			t.Errorf("%q: %q, want %q", c.argv, got, c.want)
		}
		if strings.Join(c.argv, "|") != before {
			t.Errorf("the arguments that run were changed: %q", c.argv)
		}
	}
}

func TestLongTextsCostLittleAndLoseTheirEnd(t *testing.T) {
	r, err := NewRedactor(nil)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("password=hunter2 ", 1<<16)
	if got := r.Text(long); len(got) > 2*maxSearch || strings.Contains(got, "hunter") {
		t.Errorf("%d bytes: %.80s", len(got), got)
	}
	for _, cut := range []string{"tool --password 'hunter2", `tool --password "hunter2`, "mysql -p'hunter2", "TOKEN='hunter2"} {
		if got := r.Text(cut); strings.Contains(got, "hunter") {
			t.Errorf("%s", got)
		}
	}
	argv := make([]string, 1<<16)
	for i := range argv {
		argv[i] = "--password=hunter2"
	}
	if got := r.Argv(argv); len(got) > maxSearch || got[len(got)-1] != "…" || strings.Contains(strings.Join(got, " "), "hunter") {
		t.Errorf("%d arguments", len(got))
	}
}

func BenchmarkRedact(b *testing.B) {
	r, err := NewRedactor(nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"ordinary": "systemctl status nginx.service --no-pager --lines 50",
		"secret":   "psql 'host=db user=x password=hunter2' -c 'select 1'",
		"long":     strings.Repeat("key token password ", 1<<12),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.Text(text)
			}
		})
	}
}

func TestPatternsThatAreNoneAreNamed(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"("}, `pattern "("`},
		{[]string{"x*"}, "matches everywhere"},
		{[]string{strings.Repeat("x", maxPattern+1)}, "has more than"},
		{make([]string, maxPatterns+1), "more than 100 patterns"},
	} {
		if _, err := NewRedactor(c.patterns); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	r, err := NewRedactor(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("tool --password=x 'y z' https://a:b@c")
	f.Fuzz(func(t *testing.T, text string) {
		if got := r.Text("mysql -u root --password=hunter2" + " " + text); strings.HasPrefix(got, "mysql -u root --password=hunter2") {
			t.Errorf("%q", got)
		}
	})
}
