package gateway

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/hostkeys"
)

// offer is what a server says in its SSH_MSG_KEXINIT (RFC 4253, section 7.1): the lists of names, in order.
func offer(t *testing.T, address string) [][]string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "SSH-2.0-test\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "SSH-2.0-") {
		t.Fatalf("%q, %v", line, err)
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(in, head); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, int(head[0])<<24|int(head[1])<<16|int(head[2])<<8|int(head[3])-1)
	if _, err := io.ReadFull(in, packet); err != nil {
		t.Fatal(err)
	}
	var said struct {
		Cookie                                   [16]byte `sshtype:"20"`
		Kex, HostKeys, ToServer, ToClient        []string
		MACsToServer, MACsToClient               []string
		CompressionToServer, CompressionToClient []string
		LanguagesToServer, LanguagesToClient     []string
		First                                    bool
		Reserved                                 uint32
	}
	if err := gossh.Unmarshal(packet[:len(packet)-int(head[4])], &said); err != nil {
		t.Fatal(err)
	}
	return [][]string{said.Kex, said.HostKeys, said.ToServer, said.MACsToServer}
}

func TestNothingOnOfferIsSHA1(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048) // the gateway's own have 4096 bits, which take seconds to find
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r := startAltered(t, "", nil, func(o *Options) {
		o.HostKeys = append(o.HostKeys, hostkeys.Key{Type: hostkeys.RSA, Signer: signer})
	})
	lists := offer(t, r.address)
	for _, list := range lists {
		if len(list) == 0 {
			t.Error("an empty list")
		}
		for _, name := range list {
			if strings.Contains(name, "sha1") || name == gossh.KeyAlgoRSA || strings.Contains(name, "cbc") || strings.Contains(name, "nistp") {
				t.Errorf("%s is on offer", name)
			}
		}
	}
	if got := fmt.Sprint(lists[1]); got != "[ssh-ed25519 rsa-sha2-512 rsa-sha2-256]" && got != "[ssh-ed25519 rsa-sha2-256 rsa-sha2-512]" {
		t.Errorf("host keys %s", got)
	}
	for _, algorithm := range loginAlgorithms() {
		if algorithm == gossh.KeyAlgoRSA {
			t.Error("clients may log in by ssh-rsa")
		}
	}
}

func TestConfiguredAlgorithmsAreOnOffer(t *testing.T) {
	r := start(t, "[ssh]\nkex = [\"ecdh-sha2-nistp256\"]\nmacs = [\"hmac-sha2-512\"]\nciphers = [\"aes128-ctr\"]\n")
	lists := offer(t, r.address)
	if got := fmt.Sprint(lists[0][:1], lists[2], lists[3]); got != "[ecdh-sha2-nistp256] [aes128-ctr] [hmac-sha2-512]" {
		t.Errorf("on offer: %s", got)
	}
}
