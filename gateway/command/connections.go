package command

import "fmt"

// Connections is how many clients are connected now, and how many may be.
type Connections struct {
	Agents       int   `json:"agents"`
	AgentsMax    int   `json:"agents_max"`
	Approvers    int   `json:"approvers"` // and admins
	ApproversMax int   `json:"approvers_max"`
	Waiting      int   `json:"waiting"` // have logged in, and wait for a place
	LoggingIn    int   `json:"logging_in"`
	LoggingInMax int   `json:"logging_in_max"`
	Input        int64 `json:"input_bytes"` // held of what they have sent
}

// connected is for those who decide: it says something about others.
func (s *condition) connected() *Connections {
	if s.verbs.Connections == nil || !s.to.Identity.MayDecide() {
		return nil
	}
	n := s.verbs.Connections()
	return &n
}

// line is for people.
func (n *Connections) line() string {
	return fmt.Sprintf("connections: %d of %d of agents, %d of %d of approvers, %d waiting for a place, %d of %d logging in, %d bytes of their input held",
		n.Agents, n.AgentsMax, n.Approvers, n.ApproversMax, n.Waiting, n.LoggingIn, n.LoggingInMax, n.Input)
}
