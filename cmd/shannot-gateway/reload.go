package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"shannot-gateway/gateway"
	"shannot-gateway/gateway/config"
)

// reload takes up the configuration as it is now, or says in one line why not and keeps the one in force.
func (a *assembled) reload(load func() (*config.Config, error)) controlAnswer {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	c, err := load()
	var restart []string
	if err == nil {
		restart, err = a.replace(c)
	}
	if err != nil {
		a.log.Error("the configuration was not reloaded, the one before stays in force", "error", err)
		a.ReloadRefused(a.config.Path, err)
	}
	answer := a.inForce()
	answer.Restart = restart
	return answer
}

// inForce tells of the configuration in force. The caller holds the lock.
func (a *assembled) inForce() controlAnswer {
	answer := controlAnswer{File: a.config.Path, SHA256: a.config.SHA256, Warnings: a.config.Warnings}
	if r := a.LastReload(); r != nil {
		answer.Refused, answer.RefusedAt = r.Why, r.At.UTC().Format(time.RFC3339)
	}
	return answer
}

// answer is what a local command gets of the gateway.
func (a *assembled) answer(word string, load func() (*config.Config, error)) controlAnswer {
	if word == controlReload {
		return a.reload(load)
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	return a.inForce()
}

// warnings puts what an operator should know of a configuration into the log.
func (a *assembled) warnings(c *config.Config) {
	for _, w := range c.Warnings {
		a.log.Warn(w)
	}
	if c.NobodyConnects() {
		a.log.Error("nobody can connect: no identity is configured that has a key")
	}
}

// replace puts a configuration in force, as far as that can be while the gateway runs. It names what takes a restart. The caller
// holds the lock.
func (a *assembled) replace(c *config.Config) (restart []string, err error) {
	if a.over {
		return nil, errors.New("the gateway is ending")
	}
	if restart, err = c.KeepFixed(a.config); err != nil {
		return nil, err
	}
	judge, err := gateway.NewJudge(c)
	if err != nil {
		return nil, err
	}
	remotes, err := remoteTargets(c, a.log, a.config, a.remotes)
	if err != nil {
		return nil, err
	}
	if err := a.Reload(gateway.Settings{Config: c, Judge: judge, Targets: a.targets(remotes)}); err != nil {
		return nil, err
	}
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(a.remotes)) {
		if remotes[name] != a.remotes[name] {
			a.remotes[name].Retire()
			gone = append(gone, name)
		}
	}
	a.config, a.remotes = c, remotes
	a.warnings(c)
	if len(restart) > 0 {
		a.log.Warn("some of what has changed takes effect at the next start only: " + strings.Join(restart, ", "))
	}
	a.log.Info("configuration reloaded", "file", c.Path, "sha256", c.SHA256, "connections_end", strings.Join(gone, " "))
	return restart, nil
}

// closeRemotes ends the connections to all remotes. Those of a remote that was taken out end with the sessions on it.
func (a *assembled) closeRemotes() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.over = true
	var errs []error
	for _, t := range a.remotes {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}
