# tries: names with newlines, escape sequences and separators of other systems
# layer: none: they are bytes like any other, and come back as they were
# prints: True
# itself: it compares what it made with what is listed
# bare: True
names = {b"a\nb", b"\x1b[2J", b"a\rb", b"\\..\\x", b" ", b"-rf", b"\x7f", b"\xe2\x80\xae"}
os.chdir(HERE)
for n in names: open(n, "w").close()
print(set(os.listdir(b".")) == names)
