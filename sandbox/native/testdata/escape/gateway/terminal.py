# tries: to reach the terminal of the gateway
# layer: the interpreter leads a session without a terminal
# prints: ENOENT False
# open: otherwise
# bare: not run: it depends on how the tests run
print(outcome(os.open, "/dev/tty", os.O_RDWR), any(os.isatty(fd) for fd in range(3)))
