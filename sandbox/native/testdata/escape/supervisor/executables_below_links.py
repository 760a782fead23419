# tries: to have the supervisor look for an executable in tens of thousands of places, each at the end of a long walk
# layer: 64 places are tried, a look is a call, and a long walk counts as many
# prints: answered ENOENT
# bare: not run: it is about the supervisor
import sitecustomize as s
os.chdir(HERE); os.mkdir("d"); os.symlink("d/.." + "/d/.." * 600, "l0")
for i in range(1, 38): os.symlink(f"l{i - 1}/" + "d/.." + "/d/.." * 600, f"l{i}")
names = s._list([f"{HERE}/l37/{i}".encode() for i in range(60_000)])
body = s._list([b"start", 0, -1, -1, -1, s._list([b"ls"]), names, s._list([]), b"", s._list([]), s._list([])])
fd = os.open("/dev/shannot", os.O_RDWR)
message = len(body).to_bytes(4, "little") + body
while message: message = message[os.write(fd, message):]
answer = os.read(fd, 4096)
print("answered", "ENOENT" if errno.ENOENT.to_bytes(8, "little") in answer else answer)
