# tries: a message that says it is longer than any
# layer: a length is compared before anything is read
# prints:
# ends: protocol
# bare: not run: it is about the supervisor
import time
fd = os.open("/dev/shannot", os.O_RDWR); os.write(fd, b"\xff" * 64); time.sleep(60)
