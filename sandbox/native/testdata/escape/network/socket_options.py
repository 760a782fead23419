# tries: to set options of a socket: a filter program, credentials, timestamps
# layer: the filter refuses setsockopt(2)
# prints: EPERM
# bare: DONE
import socket
a, b = socket.socketpair()
print(outcome(a.setsockopt, socket.SOL_SOCKET, 16, 1))
