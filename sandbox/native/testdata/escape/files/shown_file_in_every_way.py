# tries: to change a file of the host in every way that names it
# layer: the view keeps changes for itself
# prints: evil True 0o100777 False True
# itself: it says that each change was made in the view, and the test compares the host
# bare: not run: the test compares the host's file afterwards
p = SHOWN + "/file"
before = os.stat(p).st_mtime
with open(p, "r+") as f: f.write("evil")
os.truncate(p, 4)
os.chmod(p, 0o777)
os.utime(p, (1, 1))
text, mode = open(p).read(), oct(os.stat(p).st_mode)
os.rename(p, SHOWN + "/renamed")
os.link(SHOWN + "/renamed", SHOWN + "/linked")
os.unlink(SHOWN + "/other")
os.mkdir(SHOWN + "/made")
os.symlink("/etc/passwd", SHOWN + "/symlink")
print(text, before != 1, mode, os.path.exists(p), os.path.exists(SHOWN + "/made"))
