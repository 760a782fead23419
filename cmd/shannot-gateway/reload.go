package main

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"shannot-gateway/gateway"
	"shannot-gateway/gateway/config"
)

// reload takes up the configuration as it is now, or says in one line why not and keeps the one in force.
func (a *assembled) reload(load func() (*config.Config, error)) {
	c, err := load()
	if err == nil {
		err = a.replace(c)
	}
	if err != nil {
		a.log.Error("the configuration was not reloaded, the one before stays in force", "error", err)
	}
}

// replace puts a configuration in force, as far as that can be while the gateway runs.
func (a *assembled) replace(c *config.Config) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.over {
		return errors.New("the gateway is ending")
	}
	restart, err := c.KeepFixed(a.config)
	if err != nil {
		return err
	}
	judge, err := gateway.NewJudge(c)
	if err != nil {
		return err
	}
	remotes, err := remoteTargets(c, a.log, a.config, a.remotes)
	if err != nil {
		return err
	}
	if err := a.Reload(gateway.Settings{Config: c, Judge: judge, Targets: a.targets(remotes)}); err != nil {
		return err
	}
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(a.remotes)) {
		if remotes[name] != a.remotes[name] {
			a.remotes[name].Retire()
			gone = append(gone, name)
		}
	}
	a.config, a.remotes = c, remotes
	if len(restart) > 0 {
		a.log.Warn("some of what has changed takes effect at the next start only: " + strings.Join(restart, ", "))
	}
	a.log.Info("configuration reloaded", "file", c.Path, "sha256", c.SHA256, "connections_end", strings.Join(gone, " "))
	return nil
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
