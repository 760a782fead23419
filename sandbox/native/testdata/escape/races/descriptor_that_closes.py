# tries: to close and reuse descriptors while the supervisor looks at them
# layer: the supervisor works on a copy of the descriptor
# prints: True True
# itself: it says whether it saw a descriptor as more than one thing
# bare: not run: it would depend on luck
import threading
stop = False
fds = [None]
def churn():
    while not stop:
        fd = os.open(SHOWN + "/file", os.O_RDONLY); fds[0] = fd
        os.close(fd)
        d = os.open(SHOWN, os.O_RDONLY); os.close(d)
        r, w = os.pipe(); os.close(r); os.close(w)
threads = [threading.Thread(target=churn) for _ in range(3)]
for t in threads: t.start()
seen = set()
tries = 0
while tries < 3000 or tries < 300000 and len(seen) < 2:
    tries += 1
    try: st = os.fstat(fds[0] or 0); seen.add(st.st_mode & 0o170000)
    except OSError as e: seen.add(e.errno)
    try: os.listdir(fds[0] or 0)
    except OSError as e: seen.add(e.errno)
stop = True
for t in threads: t.join()
print(seen <= {0o100000, 0o40000, 0o10000, errno.EBADF, errno.ENOTDIR}, len(seen) > 1)
