# tries: to use a directory of /proc as a descriptor of its process
# layer: a directory is a placeholder, and the filter refuses pidfd_send_signal(2)
# prints: EPERM
# bare: OK
print(call("pidfd_send_signal", os.open(f"/proc/{VICTIM}", os.O_RDONLY), SIGNAL, 0, 0))
