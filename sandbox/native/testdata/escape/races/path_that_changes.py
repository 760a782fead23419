# tries: to rewrite a path in another thread while it is opened
# layer: the supervisor copies the path once and decides on its copy
# prints: False True
# open: True True
# bare: not run: the run in the open is its control
import threading
good, bad = (SHOWN + "/file").encode() + b"\0", SECRET.encode() + b"\0"
buffer = ctypes.create_string_buffer(good, 4096)
stop = False
def flip():
    while not stop:
        ctypes.memmove(buffer, bad, len(bad)); ctypes.memmove(buffer, good, len(good))
thread = threading.Thread(target=flip); thread.start()
leaked = opened = refused = tries = 0
while tries < 3000 or tries < 300000 and not (opened and refused + leaked):
    tries += 1
    fd = libc.open(buffer, 0)
    if fd >= 0:
        opened += 1
        leaked += b"gateway" in os.read(fd, 200)
        os.close(fd)
    else: refused += 1
stop = True; thread.join(); print(leaked > 0, opened > 0 and refused + leaked > 0)
