# tries: to write output without end
# layer: whoever takes it bounds it; the writer waits
# prints: True
# itself: it counts what was written
# bare: True
n = 0
for _ in range(2000): n += os.write(2, b"x" * 512)
print(n == 2000 * 512)
