# tries: to take pages out of the pool that the host reserved for others
# layer: the filter refuses mmap(2) with MAP_HUGETLB
# prints: ENOMEM
# bare: not run: it depends on the host's pool
print(call("mmap", 0, 2 << 20, 3, 0x22 | 0x40000, 0xFFFFFFFFFFFFFFFF, 0))
