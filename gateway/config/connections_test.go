package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shannot-gateway/gateway/config"
)

func TestBoundsOfConnections(t *testing.T) {
	if got := parse(t, "").Connections; got != config.DefaultConnections() {
		t.Errorf("without a word: %+v", got)
	}
	got := parse(t, `
[connections]
max = 20
reserved = 2
per_identity = 10
guaranteed = 3
waiting = 0
wait = "1m"
pending = 30
login = "5s"
handshakes = 1
channels = 4
rate = 50
request = "3s"
idle = 0
keepalive = "7s"
transfers = 5
answers = 6
unread = "8MiB"
`).Connections
	want := config.Connections{
		Max: 20, Reserved: 2, PerIdentity: 10, Guaranteed: 3, Waiting: 0, Wait: time.Minute, Pending: 30, Login: 5 * time.Second,
		Handshakes: 1, Channels: 4, Rate: 50, Request: 3 * time.Second, Idle: 0, Keepalive: 7 * time.Second,
		Transfers: 5, Answers: 6, Unread: 8 << 20,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestBoundsOfConnectionsThatContradictAreRefused(t *testing.T) {
	identity := func(name, role string) string {
		return fmt.Sprintf("[identities.%s]\nrole = %q\nkeys = [%q]\n", name, role, newKey(t))
	}
	approver, agents := identity("b", "approver"), identity("a", "agent")+identity("c", "agent")
	for text, want := range map[string]string{
		"max = 0":                   "max = 0: it is at least 1",
		"per_identity = -1":         "per_identity = -1: it is at least 1",
		"channels = 0":              "channels = 0",
		"transfers = 0":             "transfers = 0",
		"answers = -1":              "answers = -1",
		"rate = 0":                  "rate = 0",
		"login = 0":                 "login = 0: it has to end some time",
		"request = \"0s\"":          "request = 0",
		"keepalive = 0":             "keepalive = 0",
		"reserved = 512":            "leaves agents nothing",
		"max = 100":                 "per_identity = 256 is more than max = 100",
		"guaranteed = 300":          "guaranteed = 300 is more than per_identity",
		"unread = \"2MiB\"":         "too little for a script",
		"unread = 0":                "too little for a script",
		"unraed = 1":                `the nearest known one is "connections.unread"`,
		"wait = 5":                  "is not a duration",
		"reserved = 0\n" + approver: "reserved = 0 is less than one for each approver",
		"max = 2\nreserved = 1\nper_identity = 1\nguaranteed = 1\n" + agents: "max - reserved = 1 is less than one for each agent, of whom there are 2",
	} {
		_, err := config.Parse([]byte("[connections]\n"+text), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
