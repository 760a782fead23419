package native

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib/ld-linux-aarch64.so.1"
