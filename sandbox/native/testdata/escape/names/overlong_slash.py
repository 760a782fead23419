# tries: a slash in two bytes, which a careless decoder takes for one
# layer: bytes are bytes
# prints: ENOENT
# bare: not run: it is about the policy
print(outcome(os.open, b"/etc/..\xc0\xaf..\xc0\xaf" + SECRET.encode(), os.O_RDONLY))
