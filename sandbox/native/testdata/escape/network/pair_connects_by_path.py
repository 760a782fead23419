# tries: to turn one end of a pair to a named socket of the host
# layer: the filter refuses connect(2)
# prints: EPERM
# bare: EISCONN
import socket
a, b = socket.socketpair()
print(outcome(a.connect, SOCKET))
