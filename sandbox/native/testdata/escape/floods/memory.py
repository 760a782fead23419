# tries: to take memory without end
# layer: an address space has a size
# prints: MemoryError
# bare: not run: it depends on the machine
print(outcome(bytearray, 1 << 40))
