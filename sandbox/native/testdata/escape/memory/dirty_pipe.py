# tries: to write a host file's pages through a pipe that spliced them (CVE-2022-0847)
# layer: the filter does not know splice(2)
# prints: ENOSYS
# bare: OK
fd = os.open(SHOWN + "/file", os.O_RDONLY)
r, w = os.pipe()
offset = ctypes.c_longlong(0)
print(call("splice", fd, ctypes.byref(offset), w, 0, 1, 0))
