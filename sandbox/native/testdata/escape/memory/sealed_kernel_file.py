# tries: to write what stands for a kernel file, and a copy of one, through a mapping, a hole and a new seal
# layer: both are sealed and open for reading; a file that is read by the gateway has no pages
# prints: ENODEV EBADF EINVAL EINVAL EACCES EBADF EINVAL EINVAL
# open: otherwise
# bare: not run: it is about the view
import fcntl, mmap
fd = os.open("/proc/meminfo", os.O_RDONLY)
os.dup2(fd, 100)
print(call("mmap", 0, 4096, mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0), outcome(os.pwrite, fd, b"x", 0), outcome(os.ftruncate, fd, 0),
      outcome(fcntl.fcntl, fd, 1033, 0), outcome(mmap.mmap, 100, 4, mmap.MAP_SHARED, mmap.PROT_WRITE), outcome(os.pwrite, 100, b"x", 0),
      outcome(os.ftruncate, 100, 0), outcome(fcntl.fcntl, 100, 1033, 0))
