# tries: to hold up programs of the host with locks and leases on their files
# layer: locks are pretended, leases refused
# prints: DONE DONE EINVAL
# open: otherwise
# bare: not run: it would
import fcntl
fd = os.open(SHOWN + "/file", os.O_RDONLY)
print(outcome(fcntl.flock, fd, fcntl.LOCK_EX), outcome(fcntl.lockf, fd, fcntl.LOCK_SH), outcome(fcntl.fcntl, fd, 1024, 0))
