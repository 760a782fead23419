# tries: to have the kernel move bytes into a host file: splice, tee, vmsplice, copy_file_range, sendfile
# layer: the filter does not know them, and sendfile(2) takes a writable descriptor
# prints: ENOSYS ENOSYS ENOSYS ENOSYS EBADF
# bare: EBADF EBADF EBADF EBADF EBADF
fd = os.open(SHOWN + "/file", os.O_RDONLY)
other = os.open(SHOWN + "/other", os.O_RDONLY)
r, w = os.pipe()
bare = call("splice", 99, 0, 98, 0, 4, 0), call("tee", 99, 98, 4, 0), call("vmsplice", 99, 8, 1, 0), call("copy_file_range", other, 0, fd, 0, 4, 0)
print(*bare, call("sendfile", fd, other, 0, 4))
