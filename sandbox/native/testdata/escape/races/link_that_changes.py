# tries: to turn a link from a shown file to a hidden one while it is opened
# layer: the view resolves and opens under one policy: what it opens is what it decided on
# prints: False True
# open: True True
# bare: not run: the run in the open is its control
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
leaked = opened = refused = tries = 0
while tries < 2000 or tries < 200000 and not (opened and refused + leaked):
    tries += 1
    try:
        with open("l") as f: leaked += "gateway" in f.read(); opened += 1
    except OSError: refused += 1
stop = True; thread.join(); print(leaked > 0, opened > 0 and refused + leaked > 0)
