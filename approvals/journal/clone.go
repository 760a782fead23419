package journal

import (
	"bytes"
	"slices"
)

// Clone returns a copy that shares nothing with s, for whoever asked: what runs is decided on the journal's own.
func (s Session) Clone() Session {
	s.Args, s.Env = slices.Clone(s.Args), slices.Clone(s.Env)
	s.ExitCode = cloneInt(s.ExitCode)
	if s.Rest != nil {
		rest := *s.Rest
		s.Rest = &rest
	}
	s.Operations = slices.Clone(s.Operations)
	for i := range s.Operations {
		o := &s.Operations[i]
		o.ExitCode = cloneInt(o.ExitCode)
		if o.Command != nil {
			c := *o.Command
			c.Argv, c.Env, c.EnvChanges = slices.Clone(c.Argv), slices.Clone(c.Env), slices.Clone(c.EnvChanges)
			c.InputData = bytes.Clone(c.InputData)
			c.Before, c.Needs, c.Scratch = slices.Clone(c.Before), slices.Clone(c.Needs), slices.Clone(c.Scratch)
			for i := range c.Scratch {
				c.Scratch[i] = *c.Scratch[i].Clone()
			}
			o.Command = &c
		}
		if o.File != nil {
			o.File = o.File.Clone()
		}
	}
	return s
}

func cloneInt(n *int) *int {
	if n == nil {
		return nil
	}
	v := *n
	return &v
}
