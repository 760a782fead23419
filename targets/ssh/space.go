package ssh

import (
	"syscall"

	"shannot-gateway/vfs"
)

// Space describes the file system that a file is on, as the target says now: how full it is may be what a script waits for.
func (v *View) Space(name string) (vfs.Space, error) {
	if vfs.OfTheReader(name) {
		return vfs.Space{}, syscall.ENOENT
	}
	v.question()
	defer v.answered()
	return ask(v, func(r *relay) (vfs.Space, error) { return r.Space(v.ctx, name) })
}
