# tries: to turn a link from a shown file to a hidden one while it is opened
# wall: the view resolves and opens under one policy: what it opens is what it decided on
# prints: 0
# bare: not run: it would depend on luck
import threading
os.chdir(HERE)
os.symlink(SHOWN + "/file", "good"); os.symlink(SECRET, "bad"); os.symlink(SHOWN + "/file", "l")
stop = False
def flip():
    n = 0
    while not stop:
        n += 1
        os.symlink(SECRET if n % 2 else SHOWN + "/file", "new"); os.rename("new", "l")
thread = threading.Thread(target=flip); thread.start()
leaked = 0
for _ in range(2000):
    try:
        with open("l") as f: leaked += "gateway" in f.read()
    except OSError: pass
stop = True; thread.join(); print(leaked)
