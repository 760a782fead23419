//go:build race

package main

// The detector of races needs memory that no sandbox has: the shell in it is built without.
const raceDetector = true
