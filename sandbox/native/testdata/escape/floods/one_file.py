# tries: to write a file without end
# layer: a file has a size
# prints: EFBIG
# bare: not run: it would fill the disk
def write():
    with open(HERE + "/x", "wb", buffering=0) as f:
        for _ in range(100): f.write(bytes(1 << 20))
print(outcome(write))
