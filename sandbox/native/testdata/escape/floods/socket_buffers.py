# tries: to have the kernel hold gigabytes for it, in the buffers of socket pairs, also those of ends that are closed
# layer: sockets are counted for the session
# prints: ENFILE True
# bare: not run: it takes the memory of whoever runs the tests
import socket
kept, held = [], 0
block = bytes(32 << 10)
def fill():
    global held
    while True:
        a, b = socket.socketpair()
        a.setblocking(False)
        kept.append(b)
        try:
            while True: held += a.send(block)
        except BlockingIOError: pass
        a.close()
print(outcome(fill), held <= 64 << 20 or held)
