package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"shannot-gateway/gateway/config"
)

// sshPatience bounds one question to ssh about its configuration.
const sshPatience = 20 * time.Second

// maxAliases bounds the hosts that one import adds.
const maxAliases = 1000

// sshHosts reads hosts out of a configuration of ssh(1). It asks `ssh -G`, so that Include, Match, patterns and
// precedence mean what they mean to ssh.
type sshHosts struct {
	file   string            // the configuration
	system bool              // ssh reads the file by itself, and the system's after it
	usual  map[string]string // what ssh says of a host that no file names
}

// sshHost is one host of it.
type sshHost struct {
	name     string
	settings []config.Setting
	jump     []string // names of hosts
	left     []string // what the gateway's configuration cannot say
}

func newSSHHosts(ctx context.Context, file string) (*sshHosts, error) {
	home, err := os.UserHomeDir()
	if file == "" && err != nil {
		return nil, fmt.Errorf("%w; name the file with --file", err)
	}
	if file == "" {
		file = filepath.Join(home, ".ssh", "config")
	}
	h := &sshHosts{file: absolute(file)}
	// A Match of the file runs programs, as this process's user.
	if err := config.CheckModes(h.file); err != nil {
		return nil, fmt.Errorf("ssh's configuration: %w", err)
	}
	if me, err := user.Current(); err == nil {
		h.system = h.file == filepath.Join(me.HomeDir, ".ssh", "config")
	}
	h.usual, err = askSSH(ctx, "-F", os.DevNull, "-G", "--", "host")
	return h, err
}

// askSSH asks ssh what it would do. Of a key that has several lines the first counts.
func askSSH(ctx context.Context, args ...string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, sshPatience)
	defer cancel()
	var problem bytes.Buffer
	cmd := exec.CommandContext(ctx, "ssh", args...) // #nosec G204 -- names of hosts, after --
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("reading ssh's configuration takes OpenSSH's client: install it, or use targets add")
	}
	if err != nil {
		return nil, fmt.Errorf("ssh %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	said := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		if _, there := said[key]; !there {
			said[key] = value
		}
	}
	return said, nil
}

// aliases are the names after Host in the file, without those that are patterns, in order. What an Include names is read
// too, as far as ssh reads it.
func (h *sshHosts) aliases() ([]string, error) {
	var names []string
	err := h.scan(h.file, 0, func(words []string) {
		for _, name := range words {
			if !strings.ContainsAny(name, "*?!") && !slices.Contains(names, name) && len(names) < maxAliases {
				names = append(names, name)
			}
		}
	})
	return names, err
}

// maxIncludes is how deep ssh reads files that include others.
const maxIncludes = 16

func (h *sshHosts) scan(file string, depth int, host func(words []string)) error {
	text, err := os.ReadFile(file) // #nosec G703 -- the operator names it
	if err != nil {
		return fmt.Errorf("ssh's configuration: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		words := strings.FieldsFunc(strings.Replace(lines.Text(), "=", " ", 1), func(r rune) bool { return strings.ContainsRune(" \t\"", r) })
		if len(words) < 2 || words[0][0] == '#' {
			continue
		}
		switch strings.ToLower(words[0]) {
		case "host":
			host(words[1:])
		case "include":
			for _, pattern := range words[1:] {
				if err := h.include(pattern, depth, host); err != nil {
					return err
				}
			}
		}
	}
	return lines.Err()
}

func (h *sshHosts) include(pattern string, depth int, host func(words []string)) error {
	if depth >= maxIncludes {
		return fmt.Errorf("ssh's configuration: files that include others, more than %d deep", maxIncludes)
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
		pattern = filepath.Join(me.HomeDir, rest)
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(me.HomeDir, ".ssh", pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("ssh's configuration: %s: %w", pattern, err)
	}
	for _, file := range files {
		if err := h.scan(file, depth+1, host); err != nil {
			return err
		}
	}
	return nil
}

// host is what ssh says of one.
func (h *sshHosts) host(ctx context.Context, name string) (sshHost, error) {
	args := []string{"-G", "--", name}
	if !h.system {
		args = append([]string{"-F", h.file}, args...)
	}
	said, err := askSSH(ctx, args...)
	if err != nil {
		return sshHost{}, err
	}
	out := sshHost{name: name, settings: []config.Setting{{Key: "host", Value: config.TOMLString(said["hostname"])}}}
	if command := said["proxycommand"]; command != "" && command != "none" {
		return out, fmt.Errorf("%s is reached by a ProxyCommand, which the gateway does not run; use ProxyJump", name)
	}
	set := func(key, value string) {
		out.settings = append(out.settings, config.Setting{Key: key, Value: config.TOMLString(value)})
	}
	set("user", said["user"])
	if said["port"] != "22" {
		out.settings = append(out.settings, config.Setting{Key: "port", Value: said["port"]})
	}
	own := func(key string) (string, bool) {
		return said[key], said[key] != "" && said[key] != "none" && said[key] != h.usual[key]
	}
	if key, ok := own("identityfile"); ok && strings.ContainsAny(key, "%$") {
		out.left = append(out.left, fmt.Sprintf("%s: IdentityFile %s is left out: write the name without %% and $", name, key))
	} else if ok {
		set("key", key)
	} else if agent, ok := own("identityagent"); ok && filepath.IsAbs(agent) {
		set("agent", agent)
	}
	if files, ok := own("userknownhostsfile"); ok {
		first, _, _ := strings.Cut(files, " ")
		set("known_hosts", first)
	}
	if alias, ok := own("hostkeyalias"); ok {
		out.left = append(out.left, fmt.Sprintf("%s: HostKeyAlias %s is left out: accept its key with targets trust %s", name, alias, name))
	}
	if jump, ok := own("proxyjump"); ok {
		out.jump = strings.Split(jump, ",")
	}
	return out, nil
}

// hop is one of a ProxyJump: an alias, or [USER@]HOST[:PORT], which becomes a remote by the host's name.
func (h *sshHosts) hop(ctx context.Context, written string) (sshHost, error) {
	written = strings.TrimSuffix(strings.TrimPrefix(written, "ssh://"), "/")
	account, place, there := strings.Cut(written, "@")
	if !there {
		account, place = "", written
	}
	port := ""
	if host, p, err := net.SplitHostPort(place); err == nil {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return sshHost{}, fmt.Errorf("the jump %q has no port that is a number", written)
		}
		place, port = host, p
	}
	out, err := h.host(ctx, strings.Trim(place, "[]"))
	if account != "" {
		out.settings = replaced(out.settings, config.Setting{Key: "user", Value: config.TOMLString(account)})
	}
	if port != "" {
		out.settings = replaced(out.settings, config.Setting{Key: "port", Value: port})
	}
	return out, err
}

func replaced(settings []config.Setting, by config.Setting) []config.Setting {
	settings = slices.DeleteFunc(settings, func(s config.Setting) bool { return s.Key == by.Key })
	return append(settings, by)
}

// collect adds a host and the hosts on the way to it, these first. It leaves out what there is already.
func (h *sshHosts) collect(ctx context.Context, there map[string]bool, host sshHost, depth int) ([]sshHost, error) {
	if depth > maxIncludes {
		return nil, fmt.Errorf("%s: ProxyJump goes through more than %d hosts, or in a circle", host.name, maxIncludes)
	}
	var out []sshHost
	var names []string
	for _, written := range host.jump {
		hop, err := h.hop(ctx, written)
		if err != nil {
			return nil, err
		}
		names = append(names, hop.name)
		if there[hop.name] {
			continue
		}
		more, err := h.collect(ctx, there, hop, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(names) > 0 {
		host.settings = append(host.settings, config.Setting{Key: "jump", Value: config.TOMLStrings(names)})
	}
	there[host.name] = true
	return append(out, host), nil
}

// importHosts is `targets import [ALIAS…]`.
func (t *targetsRun) importHosts(ctx context.Context, c *config.Config) error {
	h, err := newSSHHosts(ctx, t.file)
	if err != nil {
		return err
	}
	names, all := t.names, len(t.names) == 0
	if all {
		if names, err = h.aliases(); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%s names no host; name one: targets import HOST", h.file)
	}
	there := map[string]bool{}
	for name := range maps.Keys(c.Remotes) {
		there[name] = true
	}
	var add []sshHost
	for _, name := range names {
		if there[name] {
			t.print("%s is there already and stays as it is\n", name)
			continue
		}
		host, err := h.host(ctx, name)
		if err == nil {
			var more []sshHost
			if more, err = h.collect(ctx, there, host, 0); err == nil {
				add = append(add, more...)
				continue
			}
		}
		if !all {
			return err
		}
		t.print("left out: %v\n", err)
	}
	return t.addHosts(ctx, c, add)
}

// addHosts adds all of them to the configuration, or where one of them cannot be there, none.
func (t *targetsRun) addHosts(ctx context.Context, c *config.Config, hosts []sshHost) error {
	if len(hosts) == 0 {
		return nil
	}
	now, err := t.edit(ctx, c, func(text []byte) ([]byte, error) {
		for _, host := range hosts {
			var err error
			if text, err = config.AddRemote(text, host.name, host.settings); err != nil {
				return nil, err
			}
		}
		return text, nil
	})
	if err != nil {
		return err
	}
	for _, host := range hosts {
		r := now.Remotes[host.name]
		t.print("added [remotes.%s] to %s: %s@%s port %d, %s\n", host.name, c.Path, r.User, r.Host, r.Port, login(r))
		for _, line := range host.left {
			t.print("%s\n", line)
		}
		if err := t.tellLogin(now, host.name); err != nil {
			return err
		}
	}
	t.print("Try them: shannot-gateway targets test. Give them to an identity: targets = [\"local\", %q]. %s\n", hosts[len(hosts)-1].name, afterReload)
	return nil
}
