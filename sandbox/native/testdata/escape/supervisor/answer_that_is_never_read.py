# tries: to block the supervisor by not reading its answers
# layer: each connection has a goroutine of its own, which alone waits
# prints: DONE
# itself: another call is answered while the answers lie unread
# bare: not run: it is about the supervisor
import sitecustomize as s
body = s._list([b"limit", b"memory"])
fd = os.open("/dev/shannot", os.O_RDWR | os.O_NONBLOCK)
os.set_blocking(fd, False)
try:
    for _ in range(100_000): os.write(fd, len(body).to_bytes(4, "little") + body)
except BlockingIOError: pass
print(outcome(os.stat, "/etc"))
