package native

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib64/ld-linux-x86-64.so.2"
