# tries: to make a hidden file's folder and name in the view, and to read the host's through it
# layer: the policy decides before the host is asked
# prints: True
# open: otherwise
# bare: not run: it is about the view
def make():
    os.makedirs(os.path.dirname(SECRET), exist_ok=True)
    with open(SECRET, "a+") as f:
        f.seek(0)
        return f.read()
try: print("gateway" not in make())
except OSError as e: print(e.errno in (errno.ENOENT, errno.EACCES, errno.EROFS))
