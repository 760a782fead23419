# tries: to put another directory behind a descriptor while a call works from it
# wall: the supervisor looks the descriptor up once
# prints: 0
# bare: not run: it would depend on luck
import threading
a, b = os.open(SHOWN, os.O_RDONLY), os.open(HERE, os.O_RDONLY)
os.mkdir(HERE + "/deep")
c = os.dup(a)
stop = False
def flip():
    while not stop: os.dup2(a, c); os.dup2(b, c)
thread = threading.Thread(target=flip); thread.start()
leaked = 0
for _ in range(2000):
    for name in ("../secret", "secret", "deep/../../secret"):
        try:
            fd = os.open(name, os.O_RDONLY, dir_fd=c); leaked += b"gateway" in os.read(fd, 100); os.close(fd)
        except OSError: pass
stop = True; thread.join(); print(leaked)
