# tries: to make a shared mapping of a host file writable afterwards
# layer: the kernel remembers that the descriptor was open for reading
# prints: EACCES
# bare: EACCES
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(4096), 1, 1, os.open(SHOWN + "/file", os.O_RDONLY), ctypes.c_long(0))
print(call("mprotect", at, 4096, 3))
