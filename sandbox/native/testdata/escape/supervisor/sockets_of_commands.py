# tries: to take a thread of the gateway for each stream of many commands, by sockets that nobody reads or writes
# layer: they are waited for on the poller, without changing a flag that the script shares
# prints: 60 60 True
# itself: it counts the commands that run, and those that end by its signal
# bare: not run: it is about the supervisor
import socket, subprocess
kept, commands = [socket.socketpair() for _ in range(4)], []
for n in range(60):
    a, b = kept[n % 4]
    commands.append(subprocess.Popen(["cat"], stdin=a, stdout=b))
print(sum(c.poll() is None for c in commands), end=" ")
for c in commands: c.kill()
print(sum(c.wait() == -9 for c in commands), all(x.getblocking() and os.get_blocking(x.fileno()) for p in kept for x in p))
