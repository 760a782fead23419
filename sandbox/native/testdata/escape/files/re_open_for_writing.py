# tries: to open a read-only descriptor anew for writing, by each name that it has
# layer: a re-open gives no mode that the descriptor does not have
# prints: EACCES EACCES EACCES EACCES
# bare: DONE DONE DONE DONE
fd = os.open(SHOWN + "/file", os.O_RDONLY)
print(*(outcome(os.open, n, os.O_RDWR) for n in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}", f"/proc/self/fd/../fd/{fd}", f"/dev/./fd/{fd}")))
