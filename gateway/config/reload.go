package config

import "reflect"

// KeepFixed prepares a configuration for a gateway that runs by an older one: it keeps what holds from the gateway's
// start to its end. It returns the names of what the new one would have otherwise, which takes a restart.
func (c *Config) KeepFixed(old *Config) (restart []string, err error) {
	if c.State != old.State {
		restart = append(restart, "state")
		if err := c.SetState(old.State); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		name string
		now  any // a pointer to what would be
		was  any
	}{
		{"listen", &c.Listen, &old.Listen},
		{"engine", &c.Engine, &old.Engine},
		{"[engines.native]", &c.Native, &old.Native},
		{"[engines.pypy]", &c.PyPy, &old.PyPy},
		{"[engines.shell]", &c.Shell, &old.Shell},
		{"[profile] jail", &c.Jail, &old.Jail},
		{"[local]", &c.RunAs, &old.RunAs},
		{"[audit]", &c.Audit, &old.Audit},
		{"[retention]", &c.Retention, &old.Retention},
		{"[hostkeys]", &c.HostKeys, &old.HostKeys},
		{"[ssh]", &c.SSH, &old.SSH},
	} {
		now, was := reflect.ValueOf(f.now).Elem(), reflect.ValueOf(f.was).Elem()
		if !reflect.DeepEqual(now.Interface(), was.Interface()) {
			restart = append(restart, f.name)
		}
		now.Set(was)
	}
	return restart, nil
}

// SameRemote reports whether two configurations reach a remote in the same way, every host on it included.
func SameRemote(a, b *Config, name string) bool {
	if _, ok := a.Remotes[name]; !ok || a.StrictModes != b.StrictModes {
		return false
	}
	wayA, errA := a.Way(name)
	wayB, errB := b.Way(name)
	if errA != nil || errB != nil || !reflect.DeepEqual(wayA, wayB) {
		return false
	}
	for _, hop := range wayA {
		x, y := a.Remotes[hop], b.Remotes[hop]
		x.OwnRead, y.OwnRead = false, false // what is shown of it is no part of the way; what its wall masks is
		x.Files, y.Files = Files{Hide: x.Files.Hide}, Files{Hide: y.Files.Hide}
		if hop != name {
			x.Files, y.Files = Files{}, Files{}
		}
		if !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}
