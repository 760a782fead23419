# tries: to stop the supervisor in the middle of a read of the script's memory
# layer: the filter refuses userfaultfd(2), and the view has no such device
# prints: EPERM ENOENT
# open: otherwise
# bare: not run: it depends on vm.unprivileged_userfaultfd
print(call("userfaultfd", 1), outcome(os.open, "/dev/userfaultfd", os.O_RDWR))
