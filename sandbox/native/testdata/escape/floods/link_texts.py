# tries: to fill the session with the texts of links
# layer: their bytes are counted
# prints: ENOSPC
# slow
# bare: not run: it would fill the disk
os.chdir(HERE)
def make():
    for i in range(100_000): os.symlink("x" * 4000, f"{i}")
print(outcome(make))
