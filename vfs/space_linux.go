package vfs

import "golang.org/x/sys/unix"

func spaceOf(fs *unix.Statfs_t) Space {
	return Space{
		Type: int64(fs.Type), Flags: int64(fs.Flags), BlockSize: int64(fs.Bsize), FragmentSize: int64(fs.Frsize), MaxName: int64(fs.Namelen),
		Blocks: fs.Blocks, Free: fs.Bfree, Available: fs.Bavail, Files: fs.Files, FreeFiles: fs.Ffree,
	}
}
