# tries: to hold more bytes than a session may, in files without a name or descriptor that are mapped
# layer: mapped memory of files counts as memory where it is not counted as a file's
# prints: holding
# itself: the run ends by one of the two limits that count these bytes, and by no other
# ends: memory or write
# bare: not run: it would fill the memory
import mmap, subprocess, time
print("holding", flush=True)
code = '''
import mmap, os, sys, time
kept = []
for i in range(12):
    fd = os.open(f"/var/tmp/{os.getpid()}", os.O_RDWR | os.O_CREAT)
    os.unlink(f"/var/tmp/{os.getpid()}")
    os.ftruncate(fd, 16 << 20)
    m = mmap.mmap(fd, 16 << 20); os.close(fd)
    for at in range(0, 16 << 20, 4096): m[at] = 1
    kept.append(m)
    for _ in range(100): os.close(os.open("/etc", os.O_RDONLY))
time.sleep(60)
'''
ps = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
time.sleep(60)
