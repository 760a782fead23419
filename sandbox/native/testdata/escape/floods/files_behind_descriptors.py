# tries: to hold more bytes than a session may, in files without a name that are open under another name (/proc/self/fd)
# layer: a re-open changes nothing of what the supervisor counts
# prints: holding
# ends: write
# bare: not run: it would fill the memory
print("holding", flush=True)
for i in range(400):
    fd = os.open(HERE + "/x", os.O_RDWR | os.O_CREAT)
    os.unlink(HERE + "/x")
    os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDWR))
    try: os.write(fd, b"x" * (1 << 20))
    except OSError: pass
import time
time.sleep(60)
