# tries: to change a file of the host by its descriptor: flags, version, clones, thaw
# layer: the filter lets questions about its own descriptors through alone
# prints: ENOTTY ENOTTY ENOTSUP ENOTTY
# open: otherwise
# bare: not run: as root it would
fd = os.open(SHOWN + "/file", os.O_RDONLY)
print(*(call("ioctl", fd, request, b"\0" * 64) for request in (0x40086602, 0x40087602, 0x40049409, 0xC0045878)))
