# tries: to give a hidden file another name, and to move it
# layer: what is not shown does not exist
# prints: ENOENT ENOENT ENOENT
# bare: DONE DONE DONE
print(outcome(os.link, SECRET, HERE + "/a"), outcome(os.rename, SECRET, HERE + "/b"), outcome(os.replace, HERE + "/b", HERE + "/c"))
