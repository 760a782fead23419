# tries: names that are no text
# layer: none: they are bytes like any other
# prints: True b'x'
# itself: it compares what it made with what is listed, and reads it back
# bare: True b'x'
os.chdir(HERE)
names = {b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\x80"}
for n in names:
    with open(n, "wb") as f: f.write(b"x")
os.symlink(b"\xff\xfe", b"l\xff")
print(set(os.listdir(b".")) - {b"l\xff"} == names, open(b"l\xff", "rb").read())
