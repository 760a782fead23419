package audit

// Authenticated records that somebody proved to have a key. It is written before whatever they ask for.
func (l *Log) Authenticated(identity, role, key, address string) {
	ok := true
	l.Later(Event{Event: Authentication, owner: identity, OK: &ok, Identity: identity, Role: role, Key: key, Address: address})
}

// Refused records an authentication that failed. Their number is bounded: it counts what comes faster, and the next one
// that it writes tells the number.
func (l *Log) Refused(key, address, reason string) {
	kept, write := l.failures.take()
	if !write {
		return
	}
	ok := false
	l.Later(Event{Event: Authentication, OK: &ok, Key: key, Address: address, Reason: reason, Count: kept})
}
