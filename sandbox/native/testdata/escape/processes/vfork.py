# tries: to borrow the parent's memory for a new process
# layer: the filter refuses vfork(2)
# prints: EPERM
# open: otherwise
# bare: not run: a raw vfork would go on in both processes
# arch: amd64
print(call("vfork"))
