# tries: to reach the host's root through /proc of every process that it can name
# layer: magic links are texts in the view
# prints: True
# open: otherwise
# bare: not run: it depends on whose processes these are
print({"ENOENT"} <= {outcome(os.open, f"/proc/{pid}/{link}{SECRET}", os.O_RDONLY) for pid in ("1", str(GATEWAY), str(VICTIM), "self", "thread-self", str(os.getpid())) for link in ("root", "cwd/../../../../../..")} <= {"ENOENT", "EACCES"})
