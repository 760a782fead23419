# tries: to remove, rename and replace what the view itself stands on
# layer: mounts and scratch directories stay
# prints: True
# open: otherwise
# bare: not run: as root it would
places = ("/", "/proc", "/proc/self", "/dev", "/opt/shannot", "/var/tmp", "/dev/shannot", "/opt/shannot/bin/python3.14")
calls = [(os.rmdir, p) for p in places] + [(os.unlink, p) for p in places] + [(os.rename, p, "/var/tmp/x") for p in places]
calls += [(os.symlink, "/etc", p) for p in places]
print({outcome(f, *args) for f, *args in calls} <= {"EBUSY", "EROFS", "EXDEV", "EISDIR", "ENOTDIR", "EEXIST", "EPERM", "EACCES", "EINVAL", "ENOTEMPTY"})
