# tries: to find a descriptor that the gateway left open
# layer: every descriptor is marked before the exec
# prints: True
# itself: it finds the one descriptor that the script passes on
# bare: not run: it depends on what the tests were started with
import subprocess
code = """
import os
left = []
for fd in range(3, 1024):
    try: os.fstat(fd); left.append(fd)
    except OSError: pass
print(left)"""
own = os.open("/etc/passwd", os.O_RDONLY)
print(subprocess.run([sys.executable, "-c", code], stdout=-1, text=True, pass_fds=(own,)).stdout == f"[{own}]\n")
