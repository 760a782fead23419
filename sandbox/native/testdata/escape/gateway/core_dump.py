# tries: to have the host's handler of core dumps, which runs as root, read its memory
# layer: the core limit of 1 keeps the kernel from writing a core and from starting a handler, see core(5)
# prints: 1 1
# open: otherwise
# bare: not run: it is about the gateway
import resource
print(*resource.getrlimit(resource.RLIMIT_CORE))
