package journal

// Role is what an identity may do.
type Role string

// Roles.
const (
	Agent    Role = "agent"
	Approver Role = "approver"
	Admin    Role = "admin"
)

// Identity is who is asking: a name and role from the configuration, and the key that completed authentication.
type Identity struct {
	Name        string
	Role        Role
	Fingerprint string // SHA256:… of the key
}

// MayDecide reports whether the identity's role may approve and reject.
func (i Identity) MayDecide() bool { return i.Role == Approver || i.Role == Admin }

// OwnedBy reports whether a session is somebody's own, by name or by key. Nobody decides on one.
func (s *Session) OwnedBy(by Identity) bool {
	return s.Identity == by.Name || s.Key != "" && s.Key == by.Fingerprint
}
