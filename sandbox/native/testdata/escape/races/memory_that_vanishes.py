# tries: to unmap and protect a path's memory while the supervisor reads it, and the answer's while it writes
# layer: a read or write that fails is an errno
# prints: True True
# itself: it says whether the memory was there for some calls and not for others
# slow
# bare: not run: it would depend on luck
import threading
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(8192), 3, 0x22, -1, ctypes.c_long(0))
stop = False
def flip():
    while not stop:
        libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(8192), 0)
        libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(8192), 3)
thread = threading.Thread(target=flip); thread.start()
seen = set()
tries = 0
while tries < 3000 or tries < 300000 and not {"OK", "EFAULT"} <= seen:
    tries += 1
    seen.add(call("newfstatat", 0xFFFFFF9C, b"/etc\0", at + 4000, 0)); seen.add(call("openat", 0xFFFFFF9C, at + 4090, 0, 0))
    seen.add(call("getcwd", at, 8192))
stop = True; thread.join(); print(seen <= {"OK", "EFAULT", "ENOENT"}, {"OK", "EFAULT"} <= seen)
