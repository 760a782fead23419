# tries: to serve: bind, listen and accept on one end of a pair
# layer: the filter refuses each of them
# prints: EPERM EPERM EPERM
# bare: OK EINVAL EINVAL
import socket
a, b = socket.socketpair()
name = b"\1\0\0escape-" + str(os.getpid()).encode()
print(call("bind", a.fileno(), name, len(name)), call("listen", a.fileno(), 1), call("accept4", a.fileno(), 0, 0, 0))
