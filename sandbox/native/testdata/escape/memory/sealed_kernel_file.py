# tries: to write a copy that the gateway made of a kernel file, through a mapping, a hole and a new seal
# layer: the copy is sealed and open for reading
# prints: EACCES EBADF EINVAL EINVAL
# open: otherwise
# bare: not run: it is about the view
import fcntl, mmap
fd = os.open("/proc/meminfo", os.O_RDONLY)
print(outcome(mmap.mmap, fd, 4, mmap.MAP_SHARED, mmap.PROT_WRITE), outcome(os.pwrite, fd, b"x", 0), outcome(os.ftruncate, fd, 0),
      outcome(fcntl.fcntl, fd, 1033, 0))
