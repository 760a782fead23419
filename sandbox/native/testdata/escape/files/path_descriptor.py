# tries: to get a descriptor that names a file of the host (O_PATH), and to work from there
# layer: O_PATH opens a name in the view, on a descriptor that leads nowhere
# prints: ENOENT
# bare: DONE
fd = os.open(os.path.dirname(SHOWN), os.O_PATH)
print(outcome(os.open, "secret", os.O_RDONLY, dir_fd=fd))
