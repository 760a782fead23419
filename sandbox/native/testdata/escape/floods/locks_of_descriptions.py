# tries: to fill the kernel with locks of open file descriptions, also of those that only a mapping keeps
# layer: they are counted for the session, by the kernel's own list of them
# prints: ENOLCK True DONE
# slow
# bare: not run: it depends on the limits of whoever runs the tests
import fcntl, mmap, struct
F_OFD_SETLK = 37
def lock(f, at, kind=fcntl.F_WRLCK, size=1):
    fcntl.fcntl(f, F_OFD_SETLK, struct.pack("hhqqi4x", kind, 0, at, size, 0))
kept, made = [], 0
def fill():
    global made
    for i in range(100):
        f = open(f"{HERE}/{i}", "w+b"); f.truncate(4096)
        for at in range(100): lock(f, 2 * at); made += 1
        kept.append(mmap.mmap(f.fileno(), 4096)); f.close()
first = outcome(fill)
kept.clear()
print(first, made <= 1024 or made, outcome(lock, open(f"{HERE}/0", "r+b"), 0))
