# tries: a fork bomb of interpreters, each at once
# layer: interpreters are counted
# prints: EAGAIN True
# bare: not run: it would be one
import subprocess
ps = []
while (e := outcome(lambda: ps.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)))) == "DONE" and len(ps) < 100: pass
for p in ps: p.kill()
print(e, len(ps) < 20)
