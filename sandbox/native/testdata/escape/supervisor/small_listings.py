# tries: to read a directory into buffers that are too small, and from positions that it does not have
# layer: what does not fit is refused; a position beyond the end is the end
# prints: EINVAL EINVAL True
# bare: EINVAL EINVAL True
fd = os.open("/etc", os.O_RDONLY)
space = ctypes.create_string_buffer(4096)
a, b = call("getdents64", fd, space, 0), call("getdents64", fd, space, 23)
print(a, b, outcome(os.lseek, fd, 0x7FFFFFFFFFFFFFFF, 0) in ("DONE", "EINVAL") and call("getdents64", fd, space, 4096) == "OK")
