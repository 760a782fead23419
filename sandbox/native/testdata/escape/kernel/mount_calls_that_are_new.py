# tries: the newer mount calls: fsconfig, fsmount, fspick, mount_setattr, statmount, listmount
# layer: the filter does not know them
# prints: ENOSYS ENOSYS ENOSYS ENOSYS ENOSYS ENOSYS
# open: otherwise
# bare: not run: it depends on the kernel's version
print(*(call(name, 99, 0, 0, 0, 0) for name in ("fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount")))
