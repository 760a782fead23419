# tries: to run into the end of the stack
# layer: the interpreter bounds recursion
# prints: RecursionError
# bare: RecursionError
def down(): down()
print(outcome(down))
