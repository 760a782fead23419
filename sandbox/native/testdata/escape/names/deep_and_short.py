# tries: the same with names of one byte, and then to list and remove them all
# layer: every path in the view is within 4096 bytes
# prints: ENAMETOOLONG True 0
# slow
# bare: not run: it would leave a tree that is hard to remove
os.chdir(HERE)
depth = 0
while (e := outcome(os.mkdir, "d")) == "DONE" and depth < 5000: os.chdir("d"); depth += 1
for left in range(depth, 0, -1): os.chdir(HERE + "/d" * (left - 1)); os.listdir("."); os.rmdir("d")
os.chdir(HERE)
print(e, 1000 < depth < 2100, len(os.listdir(".")))
