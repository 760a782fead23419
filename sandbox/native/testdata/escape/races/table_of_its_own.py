# tries: to give a thread a table of descriptors that the supervisor does not look into
# layer: the filter lets close_range(2) close and mark descriptors alone
# prints: EINVAL EINVAL OK
# bare: OK OK OK
print(call("close_range", 500, 600, 2), call("close_range", 500, 600, 2 | 4), call("close_range", 500, 600, 4))
