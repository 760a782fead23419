# tries: nothing: an ordinary script must still learn type, error and buffers of its own pair
# layer: none
# prints: True 0 True
# itself: the questions are answered
# bare: True 0 True
import socket
a, b = socket.socketpair()
ask = lambda option: a.getsockopt(socket.SOL_SOCKET, option)
print(ask(socket.SO_TYPE) == socket.SOCK_STREAM, ask(socket.SO_ERROR), ask(socket.SO_SNDBUF) > 0)
