# tries: to open a hidden file by x32's number of openat(2), which has no row of its own
# layer: the filter kills the process
# prints:
# ends: SIGSYS
# bare: True
# arch: amd64
print(call(0x40000000 | NR["openat"], 0xFFFFFF9C, SECRET.encode() + b"\0", 0, 0) in ("OK", "ENOSYS"))
