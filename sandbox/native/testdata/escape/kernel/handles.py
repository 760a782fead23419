# tries: to open a file of the host by handle, which needs no path
# layer: the filter refuses both calls
# prints: EPERM EPERM
# open: otherwise
# bare: not run: as root it would come far
print(call("name_to_handle_at", 0xFFFFFF9C, b"/\0", 8, 8, 0), call("open_by_handle_at", 0, 8, 0))
