# tries: to type into a terminal, to take it, and to copy from a console
# layer: the filter lets harmless questions through alone
# prints: ENOTTY ENOTTY ENOTTY ENOTTY ENOTTY
# bare: not run: it depends on the terminal that the tests run at
print(*(call("ioctl", 0, request, b"x") for request in (0x5412, 0x540E, 0x541C, 0x5422, 0x5423)))
