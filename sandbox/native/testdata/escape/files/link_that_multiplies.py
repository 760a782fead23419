# tries: links that double the path with every step
# layer: forty links are followed, and a path has 4096 bytes
# prints: True
# itself: following its links ends with an error of that bound, and without links it would be found
# bare: True
os.chdir(HERE)
os.mkdir("d")
name = "d"
for i in range(30):
    os.symlink(f"../{name}/../{name}" if i else "../d/../d", f"d/l{i}")
    name = f"d/l{i}"
print(outcome(os.stat, name) in ("ELOOP", "ENOENT", "ENAMETOOLONG"))
