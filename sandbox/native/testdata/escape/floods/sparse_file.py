# tries: files that claim to be as large as a number can be
# layer: a file has a size, for every call that sets one
# prints: EFBIG EFBIG EFBIG EFBIG
# bare: not run: it depends on the file system
fd = os.open(HERE + "/x", os.O_RDWR | os.O_CREAT)
print(outcome(os.truncate, HERE + "/x", 1 << 62), outcome(os.ftruncate, fd, 1 << 62), outcome(os.pwrite, fd, b"x", 1 << 40), outcome(os.truncate, HERE + "/x", (32 << 20) + 1))
