# tries: to open a socket's path as a file
# layer: the view opens regular files and directories alone
# prints: ENXIO
# bare: ENXIO
import os
os.symlink(SHOWN_SOCKET, HERE + "/s")
print(outcome(os.open, HERE + "/s", os.O_RDONLY | os.O_NONBLOCK))
