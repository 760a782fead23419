# tries: a link's text of 4095 bytes and of more
# layer: 4096 bytes with the NUL are read, and no more
# prints: DONE ENAMETOOLONG
# bare: DONE ENAMETOOLONG
os.chdir(HERE)
print(outcome(os.symlink, "x" * 4095, "a"), outcome(os.symlink, "x" * 4096, "b"))
