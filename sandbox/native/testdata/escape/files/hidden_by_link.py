# tries: symbolic links of its own to a hidden file: absolute, relative, in a chain, through a directory
# layer: the view follows links itself
# prints: ENOENT
# bare: DONE
os.symlink(SECRET, HERE + "/absolute")
os.symlink(os.path.relpath(SECRET, HERE), HERE + "/relative")
os.symlink("absolute", HERE + "/chain")
os.symlink(os.path.dirname(SECRET), HERE + "/folder")
print(*{outcome(os.open, HERE + "/" + n, os.O_RDONLY) for n in ("absolute", "relative", "chain", "folder/secret")})
