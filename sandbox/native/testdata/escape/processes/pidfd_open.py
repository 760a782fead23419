# tries: to hold the gateway by a descriptor
# layer: the filter does not know pidfd_open(2)
# prints: ENOSYS
# bare: OK
print(call("pidfd_open", GATEWAY, 0))
