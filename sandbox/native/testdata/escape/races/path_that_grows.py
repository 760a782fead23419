# tries: to move the end of a path while it is read
# layer: the supervisor copies the path once and decides on its copy
# prints: False True
# open: True True
# bare: not run: the run in the open is its control
import threading
base = SHOWN.encode() + b"/"
buffer = ctypes.create_string_buffer(4096)
ctypes.memmove(buffer, base + b"file\0", len(base) + 5)
tail = ctypes.addressof(buffer) + len(base)
stop = False
def flip():
    while not stop: ctypes.memmove(tail, b"../secret\0", 10); ctypes.memmove(tail, b"file\0", 5)
thread = threading.Thread(target=flip); thread.start()
leaked = opened = refused = tries = 0
while tries < 3000 or tries < 300000 and not (opened and refused + leaked):
    tries += 1
    fd = libc.open(buffer, 0)
    if fd < 0: refused += 1
    else: opened += 1; leaked += b"gateway" in os.read(fd, 200); os.close(fd)
stop = True; thread.join(); print(leaked > 0, opened > 0 and refused + leaked > 0)
