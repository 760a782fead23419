# tries: to take capabilities
# layer: the filter does not know capset(2)
# prints: ENOSYS
# open: otherwise
# bare: not run: as root it would change the process
print(call("capset", 8, 8))
