# tries: to make a device of its own, by both calls, and a FIFO
# layer: the filter refuses mknodat(2)
# prints: EPERM EPERM
# open: otherwise
# bare: not run: as root it would
print(outcome(os.mknod, HERE + "/dev", 0o20666, os.makedev(8, 0)), outcome(os.mkfifo, HERE + "/fifo"))
