# tries: to become dumpable, traceable, a reaper; to outlive the gateway; to keep capabilities; to move its memory's bounds; to dispatch its own calls
# layer: the filter lets prctl(2) name threads and mappings alone
# prints: EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM
# open: otherwise
# bare: not run: as root most of it succeeds
print(*(call("prctl", option, 1, 0, 0, 0) for option in (4, 0x59616D61, 36, 1, 8, 28, 35, 59, 22, 47)))
