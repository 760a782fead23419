# tries: to have more pipes and sockets than a session may, in several interpreters
# layer: they are counted for all interpreters of the session
# prints: True
# itself: it prints how many there were where these are more
# bare: not run: it takes the memory of whoever runs the tests
import subprocess
code = """import os, socket
kept = []
try:
    while True: kept.append(socket.socketpair())
except OSError: pass
print(len(kept), flush=True)
input()"""
children = [subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) for _ in range(4)]
made = [int(c.stdout.readline()) for c in children]
print(sum(made) <= 256 or made)
for c in children: c.kill()
