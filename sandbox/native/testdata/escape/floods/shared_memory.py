# tries: to hold more memory than a session may in shared mappings, which count for no process
# layer: what several interpreters share counts once, for the session
# prints: holding
# ends: memory
# bare: not run: it would fill the memory
import subprocess, time
print("holding", flush=True)
code = '''
import mmap, time
m = mmap.mmap(-1, 250 << 20, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
for at in range(0, 250 << 20, 4096): m[at] = 1
time.sleep(60)
'''
ps = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
time.sleep(60)
