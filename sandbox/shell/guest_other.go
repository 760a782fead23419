//go:build !linux

package shell

// Init does nothing: there is no sandbox.
func Init() {}
