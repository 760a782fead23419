package sandbox

import "shannot-gateway/vfs"

// Space describes the file system that a file of the script's view is on, as statfs(2): the target's where that is known,
// else the session's own.
func (j *Job) Space(name string) (vfs.Space, error) {
	space, known, err := j.FS.Space(name)
	if err != nil || known {
		return space, err
	}
	return j.OwnSpace(), nil
}

// OwnSpace describes what is the session's own as a file system in memory: what it may hold, and what it holds.
func (j *Job) OwnSpace() vfs.Space {
	const (
		block      = 4096
		tmpfsMagic = 0x01021994 // linux/magic.h
	)
	total := uint64(max(j.Limits.Write, 0)) / block
	free := total - min(uint64(max(j.FS.Used(), 0))/block, total)
	return vfs.Space{
		Type: tmpfsMagic, BlockSize: block, FragmentSize: block, MaxName: 255,
		Blocks: total, Free: free, Available: free, Files: 1 << 16, FreeFiles: 1 << 15,
	}
}
