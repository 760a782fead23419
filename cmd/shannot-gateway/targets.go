package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
	"shannot-gateway/internal/commandline"
)

// targetsRun is one run of `targets …`.
type targetsRun struct {
	*program
	where place
	names []string

	add struct {
		host, user, key, agent, fingerprint, jump string
		port                                      int
		certificate                               bool
	}
	fingerprint string
	yes         bool
	file        string // of ssh's configuration
}

// targetsCommand is `targets list|add|test|trust|remove`: an operator's way to the [remotes.*] of the configuration. What it
// writes is checked first, and keeps every comment.
func (p *program) targetsCommand() *cobra.Command {
	list := p.targetsVerb(&cobra.Command{
		Use: "list [--config FILE] [--state DIR]", Short: "list what the configuration says of them",
		Example: "shannot-gateway targets list",
	}, noTarget, (*targetsRun).list)
	test := p.targetsVerb(&cobra.Command{
		Use: "test [NAME...] [--config FILE] [--state DIR]", Short: "connect, log in, read, and start a command that does nothing",
		Example: "shannot-gateway targets test prod",
	}, anyTargets, (*targetsRun).test)
	add := p.targetsVerb(&cobra.Command{
		Use: "add NAME [USER@HOST[:PORT]] [flags]", Short: "add a host to the configuration",
		Long: `Adds a host to the configuration and says what the host has to know of the gateway. It keeps every comment. Without --key, ` +
			`--agent or --certificate the gateway logs in with a key of its own.`,
		Example: `shannot-gateway targets add prod ops@prod.example.com
shannot-gateway targets add prod --host prod.example.com --port 2222`,
	}, oneTarget, (*targetsRun).addTarget)
	imported := p.targetsVerb(&cobra.Command{
		Use: "import [ALIAS...] [--file FILE] [flags]", Short: "add hosts that ssh's own configuration names",
		Long: `Adds hosts by the names that they have in ~/.ssh/config, and the jump hosts on the way to them. Without ALIAS it adds all that ` +
			`the file names. It asks ssh -G, so that Include, Match and patterns count. A host with an IdentityFile is logged in to with that ` +
			`key, another one with the gateway's own.`,
		Example: `shannot-gateway targets import prod
shannot-gateway targets import --file /home/ops/.ssh/config`,
	}, anyTargets, (*targetsRun).importHosts)
	trust := p.targetsVerb(&cobra.Command{
		Use: "trust NAME [--fingerprint SHA256:... | --yes] [--config FILE] [--state DIR]", Short: "accept the host key that a host shows now",
		Long:    "Shows the host key that a host has now, asks whether it is the right one, and writes it into the configuration.",
		Example: "shannot-gateway targets trust prod",
	}, oneTarget, (*targetsRun).trust)
	remove := p.targetsVerb(&cobra.Command{
		Use: "remove NAME [--config FILE] [--state DIR]", Short: "take a host out of the configuration",
		Example: "shannot-gateway targets remove prod",
	}, oneTarget, (*targetsRun).remove)
	return group("targets COMMAND", "hosts that are reached over SSH",
		"Changes and tries the hosts that are reached over SSH: [remotes.*] of the configuration.", list, add, imported, test, trust, remove)
}

// targetsOf is how many names a command of targets takes.
type targetsOf int

const (
	noTarget targetsOf = iota
	oneTarget
	anyTargets
)

// targetsVerb is one of `targets …`.
func (p *program) targetsVerb(cmd *cobra.Command, names targetsOf, run func(*targetsRun, context.Context, *config.Config) error) *cobra.Command {
	t := &targetsRun{program: p}
	t.where.flags(cmd)
	f := cmd.Flags()
	switch cmd.Name() {
	case "add":
		f.StringVar(&t.add.host, "host", "", "its `HOST` name or address")
		f.StringVar(&t.add.user, "user", "", "the account there: `USER`")
		f.IntVar(&t.add.port, "port", 0, "its SSH `PORT`, 22 where none is named")
		f.StringVar(&t.add.key, "key", "", "log in with the private key in `FILE`")
		f.StringVar(&t.add.agent, "agent", "", "log in by the ssh-agent at `SOCKET`")
		f.BoolVar(&t.add.certificate, "certificate", false, "log in with certificates of the gateway's authority")
		f.StringVar(&t.add.jump, "jump", "", "go through the targets `NAME,NAME`")
		f.StringVar(&t.add.fingerprint, "fingerprint", "", "its host key's fingerprint, `SHA256:…`")
	case "import":
		f.StringVar(&t.file, "file", "", "read `FILE` and not ~/.ssh/config")
	case "trust":
		f.StringVar(&t.fingerprint, "fingerprint", "", "accept the key `SHA256:…` and no other")
		f.BoolVar(&t.yes, "yes", false, "accept what the host shows, unseen")
	}
	cmd.Args = func(_ *cobra.Command, words []string) error {
		switch {
		case names == oneTarget && len(words) == 0:
			return errors.New("the target's name is missing")
		case names == noTarget && len(words) > 0:
			return commandline.Unexpected(words[0])
		case cmd.Name() == "add" && len(words) == 2:
			return t.at(words[1])
		case names == oneTarget && len(words) > 1:
			return commandline.Unexpected(words[len(words)-1])
		}
		return nil
	}
	if cmd.Name() != "add" && cmd.Name() != "import" && names != noTarget {
		cmd.ValidArgsFunction = t.complete
	}
	return p.does(cmd, func(ctx context.Context, words []string) int {
		t.names = words
		c, err := loadConfig(t.where.config, "", t.where.state)
		if err == nil {
			err = run(t, ctx, c)
		}
		if err != nil {
			return p.fail(err)
		}
		return exitOK
	})
}

// at takes USER@HOST, with or without the account and a port.
func (t *targetsRun) at(place string) error {
	if t.add.host != "" || t.add.user != "" {
		return fmt.Errorf("%q, and --host or --user: say it once", place)
	}
	host := place
	if at := strings.LastIndexByte(place, '@'); at >= 0 {
		if t.add.user, host = place[:at], place[at+1:]; t.add.user == "" {
			return fmt.Errorf("%q has no account before its @", place)
		}
	}
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 { // else an address of IPv6
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			return fmt.Errorf("%q: %w; write USER@HOST or USER@HOST:PORT", place, err)
		}
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 || t.add.port != 0 {
			return fmt.Errorf("%q: the port is a number from 1 to 65535, given once", place)
		}
		host, t.add.port = name, n
	}
	if host == "" {
		return fmt.Errorf("%q names no host", place)
	}
	t.add.host = host
	return nil
}

// complete are the names that a shell completes: those of the configuration.
func (t *targetsRun) complete(_ *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := loadConfig(t.where.config, "", t.where.state)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.Remotes)) {
		if !slices.Contains(words, name) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (t *targetsRun) print(format string, args ...any) {
	_, _ = fmt.Fprintf(t.stdout, format, args...)
}

// list is `targets list`: what the configuration says.
func (t *targetsRun) list(_ context.Context, c *config.Config) error {
	for _, name := range slices.Sorted(maps.Keys(c.Remotes)) {
		r := c.Remotes[name]
		t.print("%-16s %s@%s port %d, %s, host key %s", name, r.User, r.Host, r.Port, login(r), known(r))
		if len(r.Jump) > 0 {
			t.print(", through %s", strings.Join(r.Jump, " and "))
		}
		t.print("\n")
	}
	return nil
}

func login(r config.Remote) string {
	switch {
	case r.Certificate:
		return "by certificate"
	case r.Key != "":
		return "key " + r.Key
	case r.Agent != "":
		return "agent " + r.Agent
	}
	return "the gateway's key"
}

func known(r config.Remote) string {
	switch {
	case len(r.Fingerprints) > 0:
		return strings.Join(r.Fingerprints, " ")
	case r.KnownHosts != "":
		return "from " + r.KnownHosts
	}
	return "from ssh's known_hosts"
}

// quiet drops what the targets log: the command itself says what is wrong.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// testPatience bounds the test of one target.
const testPatience = 30 * time.Second

// test is `targets test [NAME…]`: it connects, logs in, reads and starts a command that does
// nothing, all of it as a session would.
func (t *targetsRun) test(ctx context.Context, c *config.Config) error {
	names := t.names
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(c.Remotes))
	}
	for _, name := range names {
		if err := exists(c, name); err != nil {
			return err
		}
	}
	failed := 0
	for i, one := range tryRemotes(ctx, c, names) {
		line := "ok     " + one.said
		switch {
		case one.err != nil:
			line = "FAILED " + render.Line(one.err.Error()).String()
			failed++
		case one.commands != nil:
			line = "FAILED " + one.said + ": " + render.Line(one.commands.Error()).String()
			failed++
		case one.printed != "":
			line += "; " + one.prints()
		}
		t.print("%-16s %s\n", names[i], line)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets cannot be used, or not for everything", failed, len(names))
	}
	return nil
}

func exists(c *config.Config, name string) error {
	if _, ok := c.Remotes[name]; !ok {
		return fmt.Errorf("there is no [remotes.%s] in the configuration; see: shannot-gateway targets list", name)
	}
	return nil
}

// addTarget is `targets add NAME …`.
func (t *targetsRun) addTarget(ctx context.Context, c *config.Config) error {
	if t.add.host == "" {
		return errors.New("where is it? targets add NAME USER@HOST, or --host HOST")
	}
	settings := []config.Setting{{Key: "host", Value: config.TOMLString(t.add.host)}}
	for _, s := range []config.Setting{
		{Key: "user", Value: t.add.user}, {Key: "key", Value: absolute(t.add.key)}, {Key: "agent", Value: absolute(t.add.agent)},
		{Key: "fingerprint", Value: t.add.fingerprint},
	} {
		if s.Value != "" {
			settings = append(settings, config.Setting{Key: s.Key, Value: config.TOMLString(s.Value)})
		}
	}
	if t.add.port != 0 {
		settings = append(settings, config.Setting{Key: "port", Value: strconv.Itoa(t.add.port)})
	}
	if t.add.certificate {
		settings = append(settings, config.Setting{Key: "certificate", Value: "true"})
	}
	if t.add.jump != "" {
		settings = append(settings, config.Setting{Key: "jump", Value: config.TOMLStrings(strings.Split(t.add.jump, ","))})
	}
	name := t.names[0]
	now, err := t.edit(ctx, c, func(text []byte) ([]byte, error) { return config.AddRemote(text, name, settings) })
	if err != nil {
		return err
	}
	t.print("added [remotes.%s] to %s\n", name, c.Path)
	if err := t.tellLogin(now, name); err != nil {
		return err
	}
	if len(now.Remotes[name].Fingerprints) == 0 {
		t.print("Accept its host key with: shannot-gateway targets trust %s\n", name)
	}
	t.print("Give it to an identity: targets = [\"local\", %q]. %s\n", name, afterReload)
	return nil
}

// afterReload is said after each change: a gateway that runs has read its configuration.
const afterReload = "A gateway that runs takes it up when told to: shannot-gateway reload, or systemctl reload shannot-gateway."

// absolute makes a file's name good for a file that lies elsewhere.
func absolute(name string) string {
	if name == "" || strings.HasPrefix(name, "~/") {
		return name
	}
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}

// tellLogin says what the target has to know of the gateway.
func (t *targetsRun) tellLogin(c *config.Config, name string) error {
	r := c.Remotes[name]
	for _, hop := range r.Jump {
		jump := c.Remotes[hop]
		if jump.Certificate || jump.Key != "" || jump.Agent != "" {
			continue
		}
		key, err := ownKey(c, "client")
		if err != nil {
			return err
		}
		t.print("On the jump host %s, this must be the line of the gateway's key in ~%s/.ssh/authorized_keys:\n%s %s",
			hop, jump.User, keyOptions(c, hop), publicLine(key))
	}
	switch {
	case r.Certificate:
		key, err := ownKey(c, "ca")
		if err != nil {
			return err
		}
		t.print("On the target, put this line into a file that TrustedUserCAKeys of sshd_config names:\n%s", publicLine(key))
	case r.Key == "" && r.Agent == "":
		key, err := ownKey(c, "client")
		if err != nil {
			return err
		}
		t.print("On the target, put this line into ~%s/.ssh/authorized_keys:\n%s %s", r.User, keyOptions(c, name), publicLine(key))
	}
	return nil
}

// keyOptions are those of the gateway's key on a host, by sshd(8): commands alone, and where others are reached through it,
// connections to these.
func keyOptions(c *config.Config, name string) string {
	next := map[string]bool{}
	for _, other := range slices.Sorted(maps.Keys(c.Remotes)) {
		way, err := c.Way(other)
		if err != nil {
			continue
		}
		for i := range way[:len(way)-1] {
			if to := c.Remotes[way[i+1]]; way[i] == name && !strings.ContainsAny(to.Host, "\"\\") {
				next[net.JoinHostPort(to.Host, strconv.Itoa(to.Port))] = true
			}
		}
	}
	options := "restrict"
	if len(next) > 0 {
		options += ",port-forwarding"
	}
	for _, address := range slices.Sorted(maps.Keys(next)) {
		options += `,permitopen="` + address + `"`
	}
	return options
}

func publicLine(k hostkeys.Key) string {
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(k.Signer.PublicKey()))) + " shannot-gateway\n"
}

// trust is `targets trust NAME`: the host key that the target shows now becomes the one that it must show.
func (t *targetsRun) trust(ctx context.Context, c *config.Config) error {
	name := t.names[0]
	if err := exists(c, name); err != nil {
		return err
	}
	if t.fingerprint != "" {
		if err := hostkeys.CheckFingerprint(t.fingerprint); err != nil {
			return fmt.Errorf("--fingerprint: %w", err)
		}
	}
	target, err := remoteTarget(c, name, quiet())
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	key, problem, err := target.HostKey(ctx)
	if err != nil {
		return err
	}
	shown := gossh.FingerprintSHA256(key)
	t.print("%s (%s) shows %s %s\n", name, target.Place(), key.Type(), shown)
	if t.fingerprint != "" && t.fingerprint != shown {
		return fmt.Errorf("that is not %s: nothing was accepted", t.fingerprint)
	}
	if slices.Contains(c.Remotes[name].Fingerprints, shown) && problem == nil {
		t.print("which is its key already.\n")
		return nil
	}
	var refused *hostkeys.HostKeyError
	if errors.As(problem, &refused) {
		switch {
		case refused.Revoked:
			return problem
		case refused.Changed:
			t.print("EXPECTED WAS %s. Somebody may stand in between.\n", strings.Join(refused.Expected, " or "))
		}
	}
	if err := t.agree(); err != nil {
		return err
	}
	if _, err := t.edit(ctx, c, func(text []byte) ([]byte, error) {
		return config.SetRemote(text, name, "fingerprint", config.TOMLString(shown))
	}); err != nil {
		return err
	}
	t.print("accepted: [remotes.%s] fingerprint in %s. %s\n", name, c.Path, afterReload)
	return nil
}

// agree asks the operator, unless they said it already.
func (t *targetsRun) agree() error {
	if t.fingerprint != "" || t.yes {
		return nil
	}
	t.print("Compare it on the target: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\nIs it the same? Type yes: ")
	answer, err := bufio.NewReader(io.LimitReader(t.stdin, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		t.print("\n")
		return errors.New("nothing was accepted")
	}
	return nil
}

// remove is `targets remove NAME`.
func (t *targetsRun) remove(ctx context.Context, c *config.Config) error {
	name := t.names[0]
	if err := exists(c, name); err != nil {
		return err
	}
	if _, err := t.edit(ctx, c, func(text []byte) ([]byte, error) { return config.RemoveRemote(text, name) }); err != nil {
		return err
	}
	t.print("removed [remotes.%s] from %s. %s\n", name, c.Path, afterReload)
	return nil
}

// edit changes the configuration's text, checks that it still loads, and replaces the file. Of two that edit at the same
// time the second one sees what the first has written.
func (t *targetsRun) edit(ctx context.Context, c *config.Config, change func([]byte) ([]byte, error)) (*config.Config, error) {
	if c.Path == "" {
		return nil, errors.New("there is no configuration file; make one with: shannot-gateway init")
	}
	name, err := filepath.EvalSymlinks(c.Path)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("edit the configuration: %w", err)
	}
	defer unlock()
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	text, err = change(text)
	if err != nil {
		return nil, err
	}
	now, err := config.Parse(text, c.Path)
	if err != nil {
		return nil, fmt.Errorf("nothing was changed, since it would not load any more: %w", err)
	}
	if t.where.state != "" {
		if err := now.SetState(t.where.state); err != nil {
			return nil, err
		}
	}
	return now, replaceFile(name, text)
}
