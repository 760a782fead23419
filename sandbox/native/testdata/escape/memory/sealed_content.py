# tries: to write, cut, grow and map for writing a file of the interpreter, whose memory all sessions share
# layer: it is open for reading, and the re-open gives no more
# prints: EBADF EINVAL EACCES EACCES EROFS
# bare: not run: it is about the view
import mmap
name = "/opt/shannot/lib/python3.14/os.py"
fd = os.open(name, os.O_RDONLY)
print(outcome(os.write, fd, b"x"), outcome(os.ftruncate, fd, 0), outcome(mmap.mmap, fd, 4, mmap.MAP_SHARED, mmap.PROT_WRITE),
      outcome(os.open, f"/proc/self/fd/{fd}", os.O_RDWR), outcome(os.open, name, os.O_WRONLY | os.O_TRUNC))
