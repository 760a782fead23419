package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
)

const targetsUsage = `usage: shannot-gateway targets list|test [NAME…]
       shannot-gateway targets add NAME --host HOST [--user USER] [--port PORT] [--jump NAME,NAME]
                               [--key FILE | --agent SOCKET | --certificate] [--fingerprint SHA256:…]
       shannot-gateway targets trust NAME [--fingerprint SHA256:… | --yes]
       shannot-gateway targets remove NAME
       each with [--config FILE] [--state DIR]
`

// targetsCommand is one run of `targets …`.
type targetsCommand struct {
	*program
	file  string
	state string
	names []string

	add struct {
		host, user, key, agent, fingerprint, jump string
		port                                      int
		certificate                               bool
	}
	fingerprint string
	yes         bool
}

// targets is `targets list|add|test|trust|remove`: an operator's way to the [remotes.*] of the configuration. What it
// writes is checked first, and keeps every comment.
func (p *program) targets(ctx context.Context, args []string) int {
	verbs := map[string]func(*targetsCommand, context.Context, *config.Config) error{
		"list": (*targetsCommand).list, "test": (*targetsCommand).test, "add": (*targetsCommand).addTarget,
		"trust": (*targetsCommand).trust, "remove": (*targetsCommand).remove,
	}
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	run := verbs[verb]
	if run == nil {
		_, _ = io.WriteString(p.stderr, targetsUsage)
		return exitUsage
	}
	t := &targetsCommand{program: p}
	f := p.flags("targets " + verb)
	f.StringVar(&t.file, "config", "", "configuration `file`")
	f.StringVar(&t.state, "state", "", "state `directory`")
	switch verb {
	case "add":
		f.StringVar(&t.add.host, "host", "", "`name` or address")
		f.StringVar(&t.add.user, "user", "", "`account` on the target")
		f.IntVar(&t.add.port, "port", 0, "SSH `port`, 22")
		f.StringVar(&t.add.key, "key", "", "`file` with a private key")
		f.StringVar(&t.add.agent, "agent", "", "`socket` of an ssh-agent")
		f.BoolVar(&t.add.certificate, "certificate", false, "log in with certificates of the gateway's authority")
		f.StringVar(&t.add.jump, "jump", "", "`targets` to go through, with commas")
		f.StringVar(&t.add.fingerprint, "fingerprint", "", "host key's `SHA256:…`")
	case "trust":
		f.StringVar(&t.fingerprint, "fingerprint", "", "accept this `SHA256:…` and no other")
		f.BoolVar(&t.yes, "yes", false, "accept what the host shows, unseen")
	}
	var err error
	if t.names, err = parseAnywhere(f, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if one := verb == "add" || verb == "trust" || verb == "remove"; one && len(t.names) != 1 || verb == "list" && len(t.names) > 0 {
		_, _ = io.WriteString(p.stderr, targetsUsage)
		return exitUsage
	}
	c, err := loadConfig(t.file, "", t.state)
	if err != nil {
		return p.fail(err)
	}
	if err := run(t, ctx, c); err != nil {
		return p.fail(err)
	}
	return exitOK
}

// parseAnywhere parses flags before and after words.
func parseAnywhere(f *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := f.Parse(args); err != nil || f.NArg() == 0 {
			return words, err
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
}

func (t *targetsCommand) print(format string, args ...any) {
	_, _ = fmt.Fprintf(t.stdout, format, args...)
}

// list is `targets list`: what the configuration says.
func (t *targetsCommand) list(_ context.Context, c *config.Config) error {
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

// test is `targets test [NAME…]`: it connects, logs in and reads, all of it as a session would.
func (t *targetsCommand) test(ctx context.Context, c *config.Config) error {
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
		if one.err != nil {
			line = "FAILED " + string(render.Line(one.err.Error()))
			failed++
		}
		t.print("%-16s %s\n", names[i], line)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets cannot be used", failed, len(names))
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
func (t *targetsCommand) addTarget(ctx context.Context, c *config.Config) error {
	if t.add.host == "" {
		return errors.New("--host is missing")
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
func (t *targetsCommand) tellLogin(c *config.Config, name string) error {
	r := c.Remotes[name]
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
		t.print("On the target, put this line into ~%s/.ssh/authorized_keys:\nrestrict %s", r.User, publicLine(key))
	}
	return nil
}

func publicLine(k hostkeys.Key) string {
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(k.Signer.PublicKey()))) + " shannot-gateway\n"
}

// trust is `targets trust NAME`: the host key that the target shows now becomes the one that it must show.
func (t *targetsCommand) trust(ctx context.Context, c *config.Config) error {
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
func (t *targetsCommand) agree() error {
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
func (t *targetsCommand) remove(ctx context.Context, c *config.Config) error {
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
func (t *targetsCommand) edit(ctx context.Context, c *config.Config, change func([]byte) ([]byte, error)) (*config.Config, error) {
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
	if t.state != "" {
		if err := now.SetState(t.state); err != nil {
			return nil, err
		}
	}
	return now, replaceFile(name, text)
}
