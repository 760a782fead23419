# tries: names of 255 bytes and of more
# layer: the view has the limit that file systems have
# prints: DONE ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
# bare: DONE ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
os.chdir(HERE)
make = lambda n: os.close(os.open(n, os.O_CREAT | os.O_WRONLY))
print(outcome(make, "x" * 255), outcome(make, "x" * 256), outcome(os.mkdir, "x" * 1000), outcome(make, "é" * 128))
