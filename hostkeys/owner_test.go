package hostkeys_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/hostkeys"
)

// Whoever runs a command on the state of another user's gateway is told as whom to run it.
func TestKeysOfAnotherUserSayAsWhomToRunThis(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const uid = 3_999_999_123 // nobody's
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := hostkeys.LoadOwn(dir, "client", rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Skip(err) // this user namespace does not have it
	}
	if _, err := hostkeys.LoadOwn(dir, "client", rand.Reader); !errors.Is(err, hostkeys.ErrInsecure) || !strings.Contains(err.Error(), "run this as user 3999999123") {
		t.Errorf("%v", err)
	}
}
