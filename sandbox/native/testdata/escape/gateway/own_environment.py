# tries: to find something of the gateway's in its own environment, arguments and memory
# layer: the environment is made anew
# prints: False False False
# open: otherwise
# bare: not run: it is about the gateway
text = open("/proc/self/environ").read() + open("/proc/self/cmdline").read() + repr(os.environ)
print("GOMAXPROCS" in text or "GOGC" in text, "GOCACHE" in text or "SHANNOT_TEST_RUNTIME" in text, "OUTSIDE" in text)
