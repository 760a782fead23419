# tries: to write a file of the host through a shared mapping of a descriptor for writing
# layer: opening for writing copies the file into the session's overlay
# prints: b'evil'
# itself: it reads back what it wrote, and the test compares the host
# bare: b'evil'
import mmap
m = mmap.mmap(os.open(SHOWN + "/file", os.O_RDWR), 4, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
m[:] = b"evil"
m.flush()
print(open(SHOWN + "/file", "rb").read(4))
