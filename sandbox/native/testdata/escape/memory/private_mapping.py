# tries: to write a private mapping of a host file
# layer: none: what it changes is its own copy
# prints: DONE
# itself: it says that the copy was written, and the test compares the host
# bare: DONE
import mmap
m = mmap.mmap(os.open(SHOWN + "/file", os.O_RDONLY), 4, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
def write(): m[:4] = b"evil"
print(outcome(write))
