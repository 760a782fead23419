# tries: to fork by number, past the guest's stand-in for os.fork
# layer: the filter refuses it
# prints: EPERM
# bare: not run: a raw fork would go on in both processes
print(call("clone", 17, 0, 0, 0, 0))
