//go:build race

package native

// raceDetector says that the first stage has the race detector in it, which has no room below a limit of address space.
const raceDetector = true
