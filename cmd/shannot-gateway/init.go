package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
	"shannot-gateway/internal/linux/durable"
	"shannot-gateway/targets/local"
)

// template is the commented configuration. Every line that is commented out shows the default.
const template = `# Shannot gateway. A key that is not known here is an error, so a typing mistake is found at start.

listen = "127.0.0.1:2222"       # "0.0.0.0:2222" to be reached from other hosts
state  = %q
# strict_modes = true           # refuse files that somebody else can change
# engine = "native"             # or "pypy": shannot-gateway runtime install pypy

# Who may connect. Without an identity the server does not start. An agent runs scripts; an approver decides on what
# they want to do; nobody decides on sessions of their own. Each key belongs to one identity.
#
# [identities.claude]
# role = "agent"
# keys = ["ssh-ed25519 AAAA... claude"]     # or: authorized_keys = "claude.keys"
# targets = ["local"]
#
# [identities.alice]
# role = "approver"
# keys = ["ssh-ed25519 AAAA... alice"]

# What runs without asking, and what never runs. Whatever is in neither list is asked.
# [profile]
# auto_approve = ["ls", "cat", "df", "systemctl status"]    # replaces the built-in list
# always_deny  = ["mkfs"]

# What scripts see of a host's files. hide adds to a built-in list (passwords, keys, memory, this gateway's own files).
# [files]
# read    = ["/etc", "/usr", "/var/log", "/proc"]      # the default is all that the account may read: "/"
# hide    = ["/etc/my-secrets"]
# scratch = ["/tmp", "/var/tmp"]

# Bounds of one session; 0 means none.
# [limits]
# wall = "10m"                 # not counting the time in which all of it waits for a human
# lifetime = "2h"              # counting it
# cpu = "60s"
# memory = "512MiB"
# output = "16MiB"
# script = "1MiB"
# write = "50MiB"
# nodes = 65536                # files that a session makes, changes or removes
# processes = 16               # interpreters at once
# threads = 64                 # of all interpreters
# files = 1024                 # open descriptors of each
# calls = 100000               # a second; more are slowed down
# operations = 1000
# hold = "10m"                 # how long a script stays alive while it waits for a human
# expire = "24h"               # how long a decision may come after that
# grant = "24h"                # the longest that an approver may grant a command for
# sessions = 64
# sessions_per_identity = 8

# The account of this host that commands run as and scripts read files as, where the gateway runs as root. "root" has to be named.
%s

# Hosts that are reached over SSH. Added, tested and accepted by: shannot-gateway targets add|test|trust NAME
# [remotes.prod]
# host = "prod.example.com"
# user = "ops"
# fingerprint = "SHA256:..."   # of its host key
# [groups]
# web = ["web-1", "web-2"]     # a name for several

# The audit log: one line for everything that is asked, decided and done, each with the hash of the one before.
# [audit]
# enabled = true
# rotation = "daily"           # or "session": at each start; "none": when a file is large
# max_files = 30               # of so many days; 0 keeps all
# bytes_per_identity = "256MiB" # a day; who causes more has to wait
# redact = ["badge-[0-9]+"]    # secrets to leave out, added to a built-in list

# How long sessions that have ended are kept.
# [retention]
# sessions = 10000
# sessions_per_identity = 10000
# bytes_per_identity = "8GiB"  # scripts, outputs, contents of files
# age = "0"                    # for instance "90d"

# [engines.pypy]
# executable = "/opt/pypy/bin/pypy3-c"
# library = "/opt/pypy"

# [hostkeys]
# types = ["ed25519"]          # also "ecdsa", "rsa"
`

// initCommand is `init [--dir DIR]`.
func (p *program) initCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "init [--dir DIR]",
		Short: "write a configuration and a host key",
		Long: `Writes a commented configuration and a host key: for root to /etc/shannot-gateway and /var/lib/shannot-gateway, for others ` +
			`to their own configuration directory. What is there already stays as it is. Root gets an account for approved commands, too.`,
		Example: `shannot-gateway init
shannot-gateway init --dir ./gateway`,
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write everything into the directory `DIR`")
	_ = cmd.MarkFlagDirname("dir")
	return p.does(cmd, func(context.Context, []string) int { return p.init(dir) })
}

func (p *program) init(dir string) int {
	file, state, err := places(dir)
	if err != nil {
		return p.fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return p.fail(fmt.Errorf("make the directory for the configuration: %w", err))
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return p.fail(fmt.Errorf("make the state directory: %w", err))
	}
	account := p.account(dir == "")
	switch err := durable.Create(file, fmt.Appendf(nil, template, state, account)); {
	case errors.Is(err, fs.ErrExist):
		_, _ = fmt.Fprintf(p.stdout, "%s is there already and stays as it is\n", file)
	case err != nil:
		return p.fail(fmt.Errorf("write the configuration: %w", err))
	default:
		_, _ = fmt.Fprintf(p.stdout, "wrote %s\n", file)
	}
	c, err := config.Load(file)
	if err != nil {
		return p.fail(err)
	}
	keys, err := hostkeys.Load(filepath.Join(c.State, hostKeyFolder), c.HostKeys, rand.Reader)
	if err != nil {
		return p.fail(err)
	}
	for _, key := range keys {
		_, _ = fmt.Fprintf(p.stdout, "host key %s\n  %s\n", key.Path, key.Fingerprint())
	}
	_, _ = fmt.Fprintf(p.stdout, "\nNext: add an agent's and an approver's public key to %s, then\n"+
		"  shannot-gateway doctor --config %s\n  shannot-gateway serve --config %s\n", file, file, file)
	return exitOK
}

// noAccount is the section of the configuration where nothing is to be said.
const noAccount = "# [local]\n# run_as = \"" + local.DefaultAccount + "\""

// account is the section of the configuration that names the account of this host. With install, for root, it makes the
// account, unless it is there.
func (p *program) account(install bool) string {
	if os.Geteuid() != 0 {
		return noAccount
	}
	if _, err := user.Lookup(local.DefaultAccount); err != nil {
		if !install {
			return noAccount
		}
		words := strings.Fields(local.MakeAccount)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil { // #nosec G204 -- a constant
			_, _ = fmt.Fprintf(p.stderr, "the account %s was not made: %v %s\nuntil it is, commands run as nobody; make it by: %s\n",
				local.DefaultAccount, err, strings.TrimSpace(string(out)), local.MakeAccount)
			return noAccount
		}
		_, _ = fmt.Fprintf(p.stdout, "made the account %s, which commands run as and scripts read files as\n", local.DefaultAccount)
	}
	return fmt.Sprintf("[local]\nrun_as = %q", local.DefaultAccount)
}

// places are the configuration file and the state directory that init makes.
func places(dir string) (file, state string, err error) {
	if dir == "" {
		if file, err = defaultConfig(); err != nil {
			return "", "", err
		}
		if os.Geteuid() == 0 {
			return file, config.DefaultState, nil
		}
		return file, filepath.Join(filepath.Dir(file), "state"), nil
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	return filepath.Join(dir, "config.toml"), filepath.Join(dir, "state"), nil
}
