# tries: to make a datagram pair, which could send to a named socket without connecting
# layer: the filter allows stream pairs alone
# prints: EPERM
# bare: DONE
import socket
print(outcome(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM))
