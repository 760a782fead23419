# tries: to fill the session's files with many small ones and with names
# layer: bytes and nodes are counted
# prints: ENOSPC
# slow
# bare: not run: it would fill the disk
os.chdir(HERE)
def make():
    for i in range(100_000): os.mkdir(f"{i}" + "x" * 200)
print(outcome(make))
