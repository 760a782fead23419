# tries: to keep the supervisor walking: a link to itself, two to each other, a long chain
# layer: forty links are followed
# prints: ELOOP ELOOP ELOOP
# bare: ELOOP ELOOP ELOOP
os.chdir(HERE)
os.symlink("a", "a"); os.symlink("c", "b"); os.symlink("b", "c")
for i in range(50): os.symlink(f"l{i + 1}", f"l{i}")
print(*(outcome(os.open, n, os.O_RDONLY) for n in ("a", "b", "l0")))
