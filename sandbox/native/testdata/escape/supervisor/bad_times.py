# tries: times that are none, and the ends of their range
# layer: nanoseconds are checked as the kernel checks them
# prints: EINVAL OK OK
# bare: EINVAL OK OK
os.close(os.open(HERE + "/t", os.O_CREAT))
name = HERE.encode() + b"/t\0"
times = lambda *v: (ctypes.c_int64 * 4)(*v)
print(call("utimensat", 0xFFFFFF9C, name, times(0, 1_000_000_000, 0, 0), 0), call("utimensat", 0xFFFFFF9C, name, times(1 << 62, 0, -1 << 62, 0), 0), call("utimensat", 0xFFFFFF9C, name, times(0, 0x3FFFFFFF, 0, 0x3FFFFFFE), 0))
os.stat(HERE + "/t")
