# tries: to have the kernel signal another process when a descriptor is ready
# layer: the filter refuses F_SETOWN, F_SETOWN_EX and F_SETSIG
# prints: EINVAL EINVAL EINVAL
# bare: DONE DONE DONE
import fcntl, struct
r, w = os.pipe()
print(outcome(fcntl.fcntl, r, fcntl.F_SETOWN, VICTIM), outcome(fcntl.fcntl, r, 15, struct.pack("ii", 1, VICTIM)), outcome(fcntl.fcntl, r, 10, 9))
