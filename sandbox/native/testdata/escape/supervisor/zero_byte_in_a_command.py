# tries: a command whose argument ends elsewhere for the gate than for the kernel
# layer: what no guest says ends the script
# prints:
# ends: protocol
# bare: not run: it is about the supervisor
import time, sitecustomize as s
body = s._list([b"start", 0, 0, 1, 2, s._list([b"ls\0x"]), s._list([b"/bin/ls"]), s._list([]), b"", s._list([]), s._list([])])
fd = os.open("/dev/shannot", os.O_RDWR); os.write(fd, len(body).to_bytes(4, "little") + body); time.sleep(60)
