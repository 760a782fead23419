# tries: to park a descriptor in a socket's queue, where nobody counts it
# layer: the filter refuses sendmsg(2)
# prints: EPERM
# bare: DONE
import socket
a, b = socket.socketpair()
print(outcome(socket.send_fds, a, [b"x"], [0]))
