# tries: sizes, flags and descriptors at and beyond the ends of their types
# layer: each is checked as the kernel checks it
# prints: EINVAL EINVAL ERANGE EBADF EBADF EBADF ENOTDIR EINVAL
# bare: EINVAL EINVAL ERANGE EBADF EBADF EBADF ENOTDIR EINVAL
space = ctypes.create_string_buffer(4096)
print(call("readlinkat", 0xFFFFFF9C, b"/proc/self/exe\0", space, 0), call("readlinkat", 0xFFFFFF9C, b"/proc/self/exe\0", space, 0xFFFFFFFF),
      call("getcwd", space, 0), call("fstat", 0x7FFFFFFF, space), call("fstat", 0xFFFFFFFF, space), call("getdents64", 99, space, 4096),
      call("openat", 0, b"x\0", 0, 0), call("truncate", b"/etc/passwd\0", 1 << 63))
