# tries: to use a directory's descriptor as the host's directory: read it, write it, map it, change to it and look back
# layer: a placeholder stands for it
# prints: EISDIR or empty EBADF True ENOENT
# open: otherwise
# bare: not run: it is about the view
fd = os.open(SHOWN, os.O_RDONLY)
read = outcome(os.read, fd, 10)
os.fchdir(fd)
print("EISDIR or empty" if read == "EISDIR" or os.read(fd, 10) == b"" else read, outcome(os.write, fd, b"x"), os.getcwd() == SHOWN, outcome(os.stat, "../secret"))
