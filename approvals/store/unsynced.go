package store

// OpenUnsynced is Open of a database that waits for no disk: what it says was kept is lost when the machine stops, and the
// database may be damaged then. It is for tests of everything but durability, and never for a gateway.
func OpenUnsynced(name string, o Options) (*Store, error) {
	o.unsynced = true
	return Open(name, o)
}
