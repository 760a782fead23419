package config

import (
	"fmt"
	"time"
)

// Connections bound what clients may take of the gateway before and beside their sessions.
type Connections struct {
	Max         int           // logged in, in all
	Reserved    int           // of these for approvers and admins
	PerIdentity int           // logged in, of one identity
	Guaranteed  int           // of these, what others cannot take
	Waiting     int           // of one identity, for a place
	Wait        time.Duration // how long
	Pending     int           // that have not logged in
	Login       time.Duration // that a client may take to log in
	Handshakes  int           // that are computed at once; 0 for as many as there are processors
	Channels    int           // of one connection
	Rate        int           // command lines and file transfers of one identity, in a second; ten seconds' worth may come at once
	Request     time.Duration // until something has been asked for in a channel
	Idle        time.Duration // of a connection in which nothing is done; 0 for ever
	Keepalive   time.Duration // between questions to a client, which may leave three unanswered
	Transfers   int           // channels of one identity in which files are read or copied
	Answers     int           // of one identity, that are made or read at once
	Unread      int64         // bytes of one identity that came and were not read
}

// DefaultConnections are the bounds where the file says nothing.
func DefaultConnections() Connections {
	return Connections{
		Max: 512, Reserved: 64, PerIdentity: 256, Guaranteed: 8, Waiting: 256, Wait: 30 * time.Second,
		Pending: 1024, Login: 15 * time.Second,
		Channels: 10, Rate: 200, Request: 10 * time.Second, Idle: 10 * time.Minute, Keepalive: 30 * time.Second,
		Transfers: 32, Answers: 4, Unread: 64 << 20,
	}
}

// fileConnections is [connections] in the document.
type fileConnections struct {
	Max         *int      `toml:"max"`
	Reserved    *int      `toml:"reserved"`
	PerIdentity *int      `toml:"per_identity"`
	Guaranteed  *int      `toml:"guaranteed"`
	Waiting     *int      `toml:"waiting"`
	Wait        *duration `toml:"wait"`
	Pending     *int      `toml:"pending"`
	Login       *duration `toml:"login"`
	Handshakes  *int      `toml:"handshakes"`
	Channels    *int      `toml:"channels"`
	Rate        *int      `toml:"rate"`
	Request     *duration `toml:"request"`
	Idle        *duration `toml:"idle"`
	Keepalive   *duration `toml:"keepalive"`
	Transfers   *int      `toml:"transfers"`
	Answers     *int      `toml:"answers"`
	Unread      *size     `toml:"unread"`
}

// channelWindow is what the SSH library lets a client send into a channel that nobody reads, in bytes.
const channelWindow = 2 << 20

// checkConnections comes after the limits and identities, which it compares with.
func (f *file) checkConnections(c *Config) error {
	l, from := DefaultConnections(), &f.Connections
	for _, p := range []struct {
		key      string
		to, from *int
		least    int
	}{
		{"max", &l.Max, from.Max, 1}, {"reserved", &l.Reserved, from.Reserved, 0}, {"per_identity", &l.PerIdentity, from.PerIdentity, 1},
		{"guaranteed", &l.Guaranteed, from.Guaranteed, 0}, {"waiting", &l.Waiting, from.Waiting, 0}, {"pending", &l.Pending, from.Pending, 1},
		{"handshakes", &l.Handshakes, from.Handshakes, 0}, {"channels", &l.Channels, from.Channels, 1}, {"rate", &l.Rate, from.Rate, 1},
		{"transfers", &l.Transfers, from.Transfers, 1}, {"answers", &l.Answers, from.Answers, 1},
	} {
		if p.from != nil {
			*p.to = *p.from
		}
		if *p.to < p.least {
			return fmt.Errorf("[connections] %s = %d: it is at least %d; there is no value for no limit", p.key, *p.to, p.least)
		}
	}
	for _, p := range []struct {
		key      string
		to       *time.Duration
		from     *duration
		positive bool
	}{
		{"wait", &l.Wait, from.Wait, false}, {"login", &l.Login, from.Login, true}, {"request", &l.Request, from.Request, true},
		{"idle", &l.Idle, from.Idle, false}, {"keepalive", &l.Keepalive, from.Keepalive, true},
	} {
		if p.from != nil {
			*p.to = p.from.value
		}
		if p.positive && *p.to <= 0 {
			return fmt.Errorf("[connections] %s = 0: it has to end some time", p.key)
		}
	}
	if from.Unread != nil {
		l.Unread = from.Unread.value
	}
	c.Connections = l
	return c.connectionsFit()
}

// connectionsFit refuses bounds that contradict each other or the rest of the file.
func (c *Config) connectionsFit() error {
	l, askers, deciders := c.Connections, 0, 0
	for _, id := range c.Identities {
		if id.MayDecide() {
			deciders++
		} else {
			askers++
		}
	}
	switch {
	case l.Reserved >= l.Max:
		return fmt.Errorf("[connections] reserved = %d leaves agents nothing of max = %d", l.Reserved, l.Max)
	case l.PerIdentity > l.Max:
		return fmt.Errorf("[connections] per_identity = %d is more than max = %d", l.PerIdentity, l.Max)
	case l.Guaranteed > l.PerIdentity:
		return fmt.Errorf("[connections] guaranteed = %d is more than per_identity = %d", l.Guaranteed, l.PerIdentity)
	case l.Reserved < deciders:
		return fmt.Errorf("[connections] reserved = %d is less than one for each approver and admin, of whom there are %d", l.Reserved, deciders)
	case l.Max-l.Reserved < askers:
		return fmt.Errorf("[connections] max - reserved = %d is less than one for each agent, of whom there are %d", l.Max-l.Reserved, askers)
	case l.Unread < c.Limits.Script+channelWindow:
		return fmt.Errorf("[connections] unread = %d bytes is too little for a script of %d bytes (limits.script) and a channel that nobody reads (%d bytes)",
			l.Unread, c.Limits.Script, channelWindow)
	}
	return nil
}
