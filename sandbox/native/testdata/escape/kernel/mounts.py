# tries: to mount, unmount, and change the root in the old way and the new
# layer: the filter refuses each
# prints: EPERM EPERM EPERM EPERM EPERM EPERM EPERM
# open: otherwise
# bare: not run: as root it would
d = HERE.encode() + b"\0"
print(call("mount", d, d, b"tmpfs\0", 0, 0), call("umount2", d, 2), call("pivot_root", d, d), call("chroot", d),
      call("open_tree", 0xFFFFFF9C, d, 1), call("fsopen", b"tmpfs\0", 0), call("move_mount", 0, 0, 0, 0, 0))
