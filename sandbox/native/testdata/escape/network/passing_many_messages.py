# tries: to send several messages at once, each with an address of its own
# layer: the filter refuses sendmmsg(2)
# prints: EPERM
# bare: OK
import socket
a, b = socket.socketpair()
print(call("sendmmsg", a.fileno(), 0, 0, 0))
