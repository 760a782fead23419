# tries: numbers beyond the table
# layer: what has no row is not there
# prints: ENOSYS
# bare: ENOSYS
print(*{call(number) for number in (512, 600, 1000, 0x1FFFFFFF)})
