# tries: flags of open(2) that open for neither or for both, append, truncate a file that is open for reading
# layer: the view masks flags; an access mode of 3 is none
# prints: EINVAL True
# open: otherwise
# bare: not run: O_TRUNC would truncate it
p = SHOWN + "/file"
print(outcome(os.open, p, 3), outcome(os.open, p, os.O_RDONLY | os.O_TRUNC | os.O_APPEND) in ("DONE", "EACCES"))
