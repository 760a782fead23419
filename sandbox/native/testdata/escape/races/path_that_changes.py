# tries: to rewrite a path in another thread while it is opened
# wall: the supervisor copies the path once and decides on its copy
# prints: leaked 0
# bare: not run: it would depend on luck
import threading
good, bad = (SHOWN + "/file").encode() + b"\0", SECRET.encode() + b"\0"
buffer = ctypes.create_string_buffer(good, 4096)
stop = False
def flip():
    while not stop:
        ctypes.memmove(buffer, bad, len(bad)); ctypes.memmove(buffer, good, len(good))
thread = threading.Thread(target=flip); thread.start()
leaked = opened = 0
for _ in range(3000):
    fd = libc.open(buffer, 0)
    if fd >= 0:
        opened += 1
        leaked += b"gateway" in os.read(fd, 200)
        os.close(fd)
stop = True; thread.join(); print("leaked", leaked)
