# tries: numbers of descriptors that are none
# layer: the view parses them strictly
# prints: ENOENT
# bare: ENOENT
print(*{outcome(os.open, "/proc/self/fd/" + n, os.O_RDONLY) for n in ("-1", "4294967296", "0x0", "01x", " 0", "99999", "18446744073709551616")})
