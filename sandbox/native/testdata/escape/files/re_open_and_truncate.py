# tries: to truncate through the re-open of a read-only descriptor
# layer: a re-open does nothing to the file
# prints: 15
# bare: 0
fd = os.open(SHOWN + "/file", os.O_RDONLY)
outcome(os.open, f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_TRUNC)
print(os.fstat(fd).st_size)
