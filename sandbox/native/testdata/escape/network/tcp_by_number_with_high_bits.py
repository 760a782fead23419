# tries: to make a TCP socket by a number whose high half is not zero
# layer: the kernel and the filter look at the same 32 bits
# prints: EPERM
# bare: OK
print(call(NR["socket"] | 1 << 32, 2, 1, 0))
