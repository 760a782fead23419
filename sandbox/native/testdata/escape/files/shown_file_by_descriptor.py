# tries: to change a file of the host by a descriptor that is open for reading
# layer: the descriptor is open for reading; its attributes are the view's
# prints: EBADF EBADF EBADF EINVAL EBADF ENOTSUP
# bare: EBADF EBADF EBADF EINVAL EBADF not asked
fd = os.open(SHOWN + "/file", os.O_RDONLY)
inside = os.path.exists("/dev/shannot")
print(outcome(os.write, fd, b"x"), outcome(os.pwrite, fd, b"x", 0), outcome(os.writev, fd, [b"x"]), outcome(os.ftruncate, fd, 0),
      call("pwritev2", fd, 8, 0, 0, 0, 0), outcome(os.setxattr, fd, "user.x", b"x") if inside else "not asked")
os.fchmod(fd, 0o777) if inside else None
os.utime(fd, (1, 1)) if inside else None
