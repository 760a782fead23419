# tries: to cut, re-open and seek its standard streams, as if they were files of the gateway's
# layer: they are pipes of its own
# prints: EINVAL ESPIPE EACCES EACCES
# bare: not run: it depends on how the tests run
print(outcome(os.ftruncate, 1, 0), outcome(os.lseek, 1, 0, 0), outcome(os.open, "/dev/stdout", os.O_RDONLY), outcome(os.open, "/dev/stdin", os.O_WRONLY))
