# tries: to leave a program behind that runs as another user
# layer: what it makes is the view's, where nobody runs it
# prints: 0o104755 EPERM
# open: otherwise
# bare: not run: it would leave one
open(HERE + "/x", "w").close()
os.chmod(HERE + "/x", 0o4755)
print(oct(os.stat(HERE + "/x").st_mode), call("execve", HERE.encode() + b"/x\0", 0, 0))
