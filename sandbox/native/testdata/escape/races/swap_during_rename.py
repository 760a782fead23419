# tries: to swap a directory of a rename's path for a link to the host's while it runs
# wall: one call of a script at a time is answered; a rename happens in the view alone
# prints: True
# bare: not run: it would change the host
import threading
os.chdir(HERE)
os.mkdir("real"); os.symlink(SHOWN, "link")
stop = False
def flip():
    while not stop:
        for a, b in (("real", "spare"), ("link", "real"), ("real", "link"), ("spare", "real")):
            try: os.rename(a, b)
            except OSError: pass
thread = threading.Thread(target=flip); thread.start()
for i in range(1000):
    open("evil", "w").close()
    try: os.rename("evil", "real/file")
    except OSError: pass
stop = True; thread.join(); print(True)
