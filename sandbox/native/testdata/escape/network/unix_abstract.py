# tries: to talk to a service of the host by its abstract name
# layer: the filter refuses socket(2); the network namespace and Landlock stand behind it
# prints: EPERM
# bare: DONE
import socket
def talk():
    s = socket.socket(socket.AF_UNIX)
    s.connect("\0" + ABSTRACT)
print(outcome(talk))
