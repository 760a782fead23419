# tries: to punch a hole into a host file through its mapping, and into it by descriptor
# layer: the mapping is not writable; the filter refuses fallocate(2)
# prints: EACCES ENOTSUP
# bare: EACCES EBADF
libc.mmap.restype = ctypes.c_void_p
fd = os.open(SHOWN + "/file", os.O_RDONLY)
at = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, fd, ctypes.c_long(0))
print(call("madvise", at, 4096, 9), call("fallocate", fd, 3, 0, 4))
