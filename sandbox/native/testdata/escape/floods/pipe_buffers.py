# tries: to have the kernel hold gigabytes for it, in many pipes and in large ones
# layer: pipes are counted for the session; none becomes larger than it is
# prints: ENFILE True EPERM EPERM DONE DONE
# bare: not run: it takes the memory of whoever runs the tests
import fcntl
kept = []
def fill():
    while True: kept.append(os.pipe())
print(outcome(fill), len(kept) <= 256 or len(kept), *(outcome(fcntl.fcntl, kept[0][0], fcntl.F_SETPIPE_SZ, size) for size in (1 << 20, 65537, 65536, 4096)))
