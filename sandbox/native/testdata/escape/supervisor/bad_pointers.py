# tries: pointers to nowhere, into the kernel, beyond the address space, and across the end of a page
# layer: a read or write that fails is an errno
# prints: EFAULT
# bare: EFAULT
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(8192), 3, 0x22, -1, ctypes.c_long(0))
libc.mprotect(ctypes.c_void_p(at + 4096), ctypes.c_size_t(4096), 0)
ctypes.memmove(at + 4090, b"/etc/x", 6)
across = {call("openat", 0xFFFFFF9C, at + 4090, 0, 0), call("renameat", 0xFFFFFF9C, b"/x\0", 0xFFFFFF9C, at + 4090), call("symlinkat", at + 4090, 0xFFFFFF9C, b"/x\0")}
bad = (8, 0xFFFF800000000000, 0x8000000000000000, 0x00007FFFFFFFFFFF, at + 4096)
print(*across | {call("openat", 0xFFFFFF9C, p, 0, 0) for p in bad} | {call("newfstatat", 0xFFFFFF9C, b"/etc\0", p, 0) for p in bad} | {call("readlinkat", 0xFFFFFF9C, p, 8, 10) for p in bad}
      | {call("uname", p) for p in bad} | {call("renameat", 0xFFFFFF9C, b"/x\0", 0xFFFFFF9C, p) for p in bad} | {call("symlinkat", p, 0xFFFFFF9C, b"/x\0") for p in bad})
