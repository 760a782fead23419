# tries: to keep large listings of directories in the gateway, one for each descriptor
# layer: listings in progress are bounded for the session; a listing that was dropped is made again
# prints: True True
# itself: it counts the entries of a listing that was dropped
# bare: not run: it is about the gateway
os.mkdir(HERE + "/many"); os.chdir(HERE + "/many")
for i in range(2000): os.close(os.open(f"{i:0>200}", os.O_CREAT | os.O_WRONLY))
space = ctypes.create_string_buffer(1024)
fds = [os.open(".", os.O_RDONLY) for _ in range(300)]
ok = {call("getdents64", fd, space, 1024) for fd in fds} == {"OK"}
print(ok, os.lseek(fds[0], 0, 0) == 0 and len(os.listdir(fds[0])) == 2000)
