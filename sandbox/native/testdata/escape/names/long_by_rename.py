# tries: to make a path longer than a path can be by moving a deep tree deeper
# layer: every path in the view is within 4096 bytes
# prints: ENAMETOOLONG
# bare: not run: it would leave a tree that is hard to remove
os.chdir(HERE)
for top in ("a", "b"):
    os.mkdir(top); os.chdir(top)
    for _ in range(25): os.mkdir("d" * 100); os.chdir("d" * 100)
    if top == "a": os.chdir(HERE)
deep = os.getcwd()
os.chdir(HERE)
print(outcome(os.rename, "a", deep + "/a"))
