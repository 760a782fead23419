// Package mounts makes file systems and attaches them with the kernel's mount API of Linux 5.2 and later: fsopen(2), fsconfig(2),
// fsmount(2), move_mount(2), mount_setattr(2). It names directories by descriptors, and needs no path of the host's tree and no
// program. It knows the kernel alone. It must never change a mount that it has not made. Begin with New.
package mounts
