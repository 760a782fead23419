# tries: to be alive for ever by a command whose standard streams are both ends of one pipe, of a script that is gone
# layer: the limit of time ends the command, whose streams are closed first
# prints: gone
# ends: wall
# slow
# bare: not run: it is about the supervisor
import subprocess
r, w = os.pipe()
for _ in range(3): subprocess.Popen(["cat", "/dev/zero"], stdin=r, stdout=w, stderr=w)
print("gone", flush=True)
os._exit(0)
