package ssh

import (
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// source answers each question by a view of its own.
type source struct{ t *Target }

func once[T any](s source, question func(targets.View) (T, error)) (T, error) {
	v := s.t.View(targets.ViewOptions{})
	defer func() { _ = v.Close() }()
	return question(v)
}

// Lstat implements vfs.Source.
func (s source) Lstat(name string) (vfs.Info, error) {
	return once(s, func(v targets.View) (vfs.Info, error) { return v.Lstat(name) })
}

// ReadDir implements vfs.Source.
func (s source) ReadDir(name string) ([]vfs.Dirent, error) {
	return once(s, func(v targets.View) ([]vfs.Dirent, error) { return v.ReadDir(name) })
}

// Readlink implements vfs.Source.
func (s source) Readlink(name string) (string, error) {
	return once(s, func(v targets.View) (string, error) { return v.Readlink(name) })
}

// Open implements vfs.Source.
func (s source) Open(name string, flags int) (int, error) {
	return once(s, func(v targets.View) (int, error) { return v.Open(name, flags) })
}
