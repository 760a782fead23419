# tries: a message that is no list
# layer: what no guest says ends the script
# prints:
# ends: protocol
# bare: not run: it is about the supervisor
import time
fd = os.open("/dev/shannot", os.O_RDWR); os.write(fd, b"\x0c\0\0\0hello, world"); time.sleep(60)
