# tries: empty names, dots, and slashes after files
# layer: they mean what they mean to the kernel
# prints: ENOENT EINVAL True ENOTDIR ENOTDIR True
# bare: ENOENT EINVAL True ENOTDIR ENOTDIR True
os.chdir(HERE)
open("f", "w").close(); os.mkdir("d")
print(outcome(os.open, "", os.O_RDONLY), outcome(os.rmdir, "."), outcome(os.rename, ".", "x") in ("EBUSY", "EINVAL"),
      outcome(os.open, "f/", os.O_RDONLY), outcome(os.stat, "f/."), outcome(os.rename, "d", "d/x") in ("EINVAL",))
