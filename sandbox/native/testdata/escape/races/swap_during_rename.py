# tries: to swap a directory of a rename's path for a link to the host's while it runs
# layer: one call of a script at a time is answered; a rename happens in the view alone
# prints: True
# itself: it says whether some renames were made and some met the directory in the middle of the swap
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
made = missed = tries = 0
while tries < 1000 or tries < 100000 and not (made and missed):
    tries += 1
    open("evil", "w").close()
    try: os.rename("evil", "real/file"); made += 1
    except OSError: missed += 1
stop = True; thread.join(); print(made > 0 and missed > 0)
