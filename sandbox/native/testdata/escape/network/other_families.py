# tries: to make sockets of families whose kernel code is seldom looked at: netlink, packet, vsock, AF_ALG, bluetooth, TIPC
# layer: the filter refuses socket(2)
# prints: EPERM EPERM EPERM EPERM EPERM EPERM
# open: otherwise
# bare: not run: what it gives depends on the kernel's modules, and it may load some
print(*(call("socket", family, 3, 0) for family in (16, 17, 40, 38, 31, 30)))
