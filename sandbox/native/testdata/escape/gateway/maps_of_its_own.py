# tries: to learn where the gateway keeps its files from what it has mapped
# layer: its own maps are told as they are in the view
# prints: False
# open: otherwise
# bare: not run: it is about the gateway
text = "".join(open(f"/proc/self/{n}").read() for n in ("maps", "status", "stat", "cmdline"))
print(any(w in text for w in (".cache", "python-", "memfd", "/root", "shannot-gateway")))
