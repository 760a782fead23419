//go:build race

package shell

// The detector of races needs memory that no sandbox has: the program in it is built without.
const raceDetector = true
