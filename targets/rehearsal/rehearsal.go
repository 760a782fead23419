// Package rehearsal runs a command in a copy-on-write world: overlays over the file systems of this host, in namespaces of its own, with
// no network, no devices and no process but those that it starts. What the command has changed is read from the overlays' upper
// layers, which vanish with the world. It knows the kernel, the jail's tables and the contract of a target. It must never mount
// anything of the host writable. Begin with Run; world_linux.go builds the world, scan_linux.go reads what changed in it.
package rehearsal
