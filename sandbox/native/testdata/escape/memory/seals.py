# tries: to seal a file of the view against the view's own writes
# layer: the filter lets F_GET_SEALS through alone; the view's files take no seals
# prints: EINVAL
# bare: EINVAL
import fcntl
fd = os.open(HERE + "/x", os.O_RDWR | os.O_CREAT)
print(outcome(fcntl.fcntl, fd, 1033, 8))
