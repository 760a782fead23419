package main

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
	"shannot-gateway/targets/ssh"
)

// clientKeyFolder is where, below the state directory, the keys are with which the gateway logs in on targets.
const clientKeyFolder = "clientkeys"

// systemKnownHosts is ssh(1)'s own file for the whole system.
const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

// remoteTargets makes the targets of a configuration, by name. It connects to none. It takes over those of an earlier
// configuration that are reached in the same way, with their connections.
func remoteTargets(c *config.Config, log *slog.Logger, old *config.Config, there map[string]*ssh.Target) (map[string]*ssh.Target, error) {
	out := map[string]*ssh.Target{}
	for _, name := range slices.Sorted(maps.Keys(c.Remotes)) {
		if t := there[name]; t != nil && config.SameRemote(old, c, name) {
			out[name] = t
			continue
		}
		t, err := remoteTarget(c, name, log)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

// remoteTarget makes one target.
func remoteTarget(c *config.Config, name string, log *slog.Logger) (*ssh.Target, error) {
	way, err := c.Way(name)
	if err != nil {
		return nil, err
	}
	var hops []ssh.Hop
	for _, hop := range way {
		h, err := remoteHop(c, hop)
		if err != nil {
			return nil, fmt.Errorf("[remotes.%s]: %w", hop, err)
		}
		h.Login.Forwards = hop != name
		hops = append(hops, h)
	}
	r := c.Remotes[name]
	return ssh.New(ssh.Options{
		Hops: hops, Log: log, Cache: r.Cache, Wall: ssh.WallOptions{Mode: ssh.WallMode(r.Wall), Hide: r.Files.Hide},
	}), nil
}

func remoteHop(c *config.Config, name string) (ssh.Hop, error) {
	r := c.Remotes[name]
	h := ssh.Hop{
		Name: name, Host: r.Host, Port: r.Port, User: r.User,
		Login: ssh.Login{Key: r.Key, Agent: r.Agent, Source: r.Source},
		Known: knownOptions(c, name, r),
	}
	purpose := ""
	switch {
	case r.Certificate:
		purpose = "ca"
	case r.Key == "" && r.Agent == "":
		purpose = "client"
	default:
		return h, nil
	}
	key, err := ownKey(c, purpose)
	if err != nil {
		return h, err
	}
	if r.Certificate {
		h.Login.Authority = key.Signer
	} else {
		h.Login.Own = key.Signer
	}
	return h, nil
}

// knownOptions say which host keys of a remote are known.
func knownOptions(c *config.Config, name string, r config.Remote) hostkeys.KnownOptions {
	o := hostkeys.KnownOptions{Target: name, Fingerprints: r.Fingerprints}
	if c.StrictModes {
		o.Check = config.CheckModes
	}
	if r.KnownHosts != "" {
		o.Files = []string{r.KnownHosts}
		return o
	}
	o.Defaults = []string{systemKnownHosts}
	if home, err := os.UserHomeDir(); err == nil {
		o.Defaults = append(o.Defaults, filepath.Join(home, ".ssh", "known_hosts"))
	}
	return o
}

// ownKey is a key with which the gateway logs in: "client" itself, or the "ca" that signs its certificates.
func ownKey(c *config.Config, purpose string) (hostkeys.Key, error) {
	return hostkeys.LoadOwn(filepath.Join(c.State, clientKeyFolder), purpose, rand.Reader)
}
