# tries: directories in directories until a path has no room, each entered
# layer: every path in the view is within 4096 bytes
# prints: True True
# itself: the last directory is refused with the errno of that bound
# bare: not run: it would leave a tree that is hard to remove
os.chdir(HERE)
depth = 0
try:
    while depth < 5000:
        os.mkdir("d" * 100); os.chdir("d" * 100); depth += 1
except OSError as e: print(e.errno == errno.ENAMETOOLONG, depth < 4096 // 100 + 1)
