# tries: to keep tens of thousands of files open without descriptors, by mappings of files and by shared ones of nothing
# layer: descriptors and mappings of files are counted for the session
# prints: ENFILE ENFILE ENFILE True DONE
# slow
# bare: not run: it takes the files of whoever runs the tests
import mmap
kept = []
def files():
    while len(kept) < 30000:
        fd = os.open(SHOWN + "/file", os.O_RDONLY)
        kept.append(mmap.mmap(fd, 1, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, trackfd=False)); os.close(fd)
def nothing():
    while len(kept) < 30000: kept.append(mmap.mmap(-1, 4096))
zero = os.open("/dev/zero", os.O_RDWR)
def zeros():
    while len(kept) < 30000: kept.append(mmap.mmap(zero, 4096, trackfd=False))
got = [outcome(files)]
most = len(kept); kept.clear()
got.append(outcome(nothing)); most = max(most, len(kept)); kept.clear()
got.append(outcome(zeros)); most = max(most, len(kept)); kept.clear()
print(*got, most <= 16384 or most, outcome(os.open, SHOWN + "/file", os.O_RDONLY))
