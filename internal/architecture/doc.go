// Package architecture has no code but tests. They hold ARCHITECTURE.md, README.md and docs/ against the repository: who
// imports whom, how large a type is, and whether each file, test, link and anchor that a page names exists. They read
// sources as text, for every operating system at once, and build nothing. Begin with rooms_test.go.
package architecture
