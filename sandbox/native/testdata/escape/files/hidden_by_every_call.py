# tries: to learn of a file that the policy does not show by every call that takes a path
# layer: what is not shown does not exist
# prints: ENOENT False
# open: otherwise
# bare: not run: it is about the policy
p = SECRET
print(*{outcome(f, *args) for f, *args in (
    (os.open, p, os.O_RDONLY), (os.open, p, os.O_PATH), (os.open, p, os.O_WRONLY), (os.open, p, os.O_RDONLY | os.O_DIRECTORY), (os.stat, p), (os.lstat, p),
    (os.readlink, p), (os.listdir, p), (os.chdir, p), (os.chmod, p, 0o777), (os.chown, p, 0, 0), (os.utime, p), (os.truncate, p, 0),
    (os.unlink, p), (os.rmdir, p), (os.rename, p, HERE + "/x"), (os.link, p, HERE + "/x"), (os.statvfs, p), (os.open, p + "/", os.O_RDONLY),
)}, end=" ")
print(os.access(p, os.F_OK))
