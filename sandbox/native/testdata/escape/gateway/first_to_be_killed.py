# tries: to have the kernel kill the gateway when memory runs out
# layer: an interpreter is the first that is killed
# prints: 1000
# open: otherwise
# bare: not run: it is about the gateway
print(open(f"/proc/{os.getpid()}/oom_score_adj").read().strip())
