# tries: to have the gateway say that a limit ended it which there is not
# layer: what no guest says ends the script
# prints:
# ends: protocol
# bare: not run: it is about the supervisor
import time, sitecustomize as s
body = s._list([b"limit", b"1"])
fd = os.open("/dev/shannot", os.O_RDWR); os.write(fd, len(body).to_bytes(4, "little") + body); time.sleep(60)
