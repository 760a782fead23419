# tries: to start a program with the C library's own posix_spawn
# layer: the filter refuses what it is made of
# prints: EPERM
# bare: DONE
pid = ctypes.c_int()
argv = (ctypes.c_char_p * 2)(b"true", None)
error = libc.posix_spawn(ctypes.byref(pid), b"/bin/true", None, None, argv, None)
print(errno.errorcode.get(error, "DONE"))
