# tries: other spellings of a hidden file's name
# layer: the view resolves every component itself, and the policy decides on what comes out
# prints: ENOENT
# bare: DONE
dirname, base = os.path.split(SECRET)
spellings = ("/" + SECRET, SECRET.replace("/", "//"), dirname + "/./" + base, dirname + "/../" + os.path.basename(dirname) + "/" + base,
    SHOWN + "/../" + base, "/.." * 50 + SECRET, "/etc/.." + SECRET, "/proc/self/cwd/" + "../" * 20 + SECRET[1:], "/proc/self/root" + SECRET)
print(*{outcome(os.open, p, os.O_RDONLY) for p in spellings})
