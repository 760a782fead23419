# tries: to write a file of the host through a shared mapping
# layer: the descriptor is open for reading
# prints: EACCES
# bare: EACCES
import mmap
fd = os.open(SHOWN + "/file", os.O_RDONLY)
print(outcome(mmap.mmap, fd, 4, mmap.MAP_SHARED, mmap.PROT_WRITE))
