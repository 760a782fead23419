# tries: to open a file by the newer calls whose flags are in memory
# layer: the filter does not know them
# prints: ENOSYS ENOSYS ENOSYS
# bare: EINVAL EFAULT OK
how = (ctypes.c_uint64 * 3)()
space = ctypes.create_string_buffer(256)
print(call("openat2", 0xFFFFFF9C, b"/etc/passwd\0", how, 0), call("openat2", 0xFFFFFF9C, 8, how, 24), call("statx", 0xFFFFFF9C, b"/etc/passwd\0", 0, 0, space))
