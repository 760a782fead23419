# tries: to find the gateway's port in the host's list and to connect to it
# layer: the list is the host's to read; the filter refuses socket(2)
# prints: EPERM
# bare: DONE
import socket
ports = [int(line.split()[1].split(":")[1], 16) for line in list(open("/proc/net/tcp"))[1:]] + [PORT]
assert PORT in ports
print(outcome(socket.create_connection, ("127.0.0.1", PORT), 5))
