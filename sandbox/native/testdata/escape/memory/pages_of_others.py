# tries: to move, lock and reorder pages
# layer: the filter does not know the calls
# prints: ENOSYS ENOSYS ENOSYS ENOSYS ENOSYS
# open: otherwise
# bare: not run: it depends on the machine's nodes and limits
print(call("move_pages", VICTIM, 0, 0, 0, 0, 0), call("migrate_pages", VICTIM, 0, 0, 0), call("mlockall", 1), call("remap_file_pages", 0, 0, 0, 0, 0), call("mbind", 0, 0, 0, 0, 0, 0))
