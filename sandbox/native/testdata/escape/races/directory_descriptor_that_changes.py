# tries: to put another directory behind a descriptor while a call works from it
# layer: the supervisor looks the descriptor up once
# prints: False True
# open: True True
# bare: not run: the run in the open is its control
import threading
a, b = os.open(SHOWN, os.O_RDONLY), os.open(HERE, os.O_RDONLY)
os.mkdir(HERE + "/deep")
c = os.dup(a)
stop = False
def flip():
    while not stop: os.dup2(a, c); os.dup2(b, c)
thread = threading.Thread(target=flip); thread.start()
leaked = found = missed = tries = 0
while tries < 2000 or tries < 200000 and not (found and missed):
    tries += 1
    try: os.close(os.open("file", os.O_RDONLY, dir_fd=c)); found += 1
    except OSError: missed += 1
    for name in ("../secret", "secret", "deep/../../secret"):
        try:
            fd = os.open(name, os.O_RDONLY, dir_fd=c); leaked += b"gateway" in os.read(fd, 100); os.close(fd)
        except OSError: pass
stop = True; thread.join(); print(leaked > 0, found > 0 and missed > 0)
