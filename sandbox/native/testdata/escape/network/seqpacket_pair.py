# tries: to make a pair of sequenced packets
# layer: the filter allows stream pairs alone
# prints: EPERM
# bare: DONE
import socket
print(outcome(socket.socketpair, socket.AF_UNIX, socket.SOCK_SEQPACKET))
