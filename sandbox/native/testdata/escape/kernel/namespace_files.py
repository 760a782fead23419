# tries: to open the namespaces of another process
# layer: they are no regular files: the view opens nothing else
# prints: True ENOENT
# open: otherwise
# bare: not run: it would
print(outcome(os.open, f"/proc/{VICTIM}/ns/net", os.O_RDONLY) in ("EACCES", "ENOENT", "ELOOP"), outcome(os.open, "/proc/self/ns/net", os.O_RDONLY))
