# tries: to climb out of a directory that is shown, by working directory and by directory descriptor
# layer: a directory descriptor is a placeholder: the view resolves its path
# prints: ENOENT ENOENT ENOENT
# bare: DONE DONE DONE
os.chdir(SHOWN)
fd = os.open(SHOWN, os.O_RDONLY)
path_fd = os.open(SHOWN, os.O_PATH)
print(outcome(os.open, "../secret", os.O_RDONLY), outcome(os.open, "../secret", os.O_RDONLY, dir_fd=fd), outcome(os.stat, "../secret", dir_fd=path_fd))
