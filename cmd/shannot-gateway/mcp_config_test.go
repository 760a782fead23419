package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// mcpSaid runs `mcp config` with words.
func mcpSaid(t *testing.T, words ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, complaints bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &complaints}
	status = p.run(t.Context(), append([]string{"mcp", "config"}, words...))
	return out.String(), complaints.String(), status
}

// programIn is what a client would start by a block.
func programIn(t *testing.T, client, block string) []string {
	t.Helper()
	type server struct {
		Command string   `json:"command" toml:"command"`
		Args    []string `json:"args" toml:"args"`
	}
	var read struct {
		JSON map[string]server `json:"mcpServers"`
		TOML map[string]server `toml:"mcp_servers"`
	}
	switch client {
	case "claude-code":
		out, err := exec.Command("sh", "-c", "claude() { printf '%s\\0' \"$@\"; }\n"+block).Output() // #nosec G204 -- a test of what is pasted
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if head := []string{"mcp", "add", "--transport", "stdio", "shannot", "--"}; len(words) < 6 || !slices.Equal(words[:6], head) {
			t.Fatalf("%q", words)
		}
		return words[6:]
	case "codex":
		if err := toml.Unmarshal([]byte(block), &read); err != nil {
			t.Fatalf("%v: %s", err, block)
		}
		return append([]string{read.TOML["shannot"].Command}, read.TOML["shannot"].Args...)
	}
	if err := json.Unmarshal([]byte(block), &read); err != nil {
		t.Fatalf("%v: %s", err, block)
	}
	return append([]string{read.JSON["shannot"].Command}, read.JSON["shannot"].Args...)
}

func TestWhatIsPastedStartsSSH(t *testing.T) {
	for host, want := range map[string]string{
		"gw.example.com": "shannot@gw.example.com", "me@gw": "me@gw", "192.0.2.7": "shannot@192.0.2.7", "::1": "shannot@::1", "a_b@[2001:db8::1]": "a_b@2001:db8::1",
	} {
		for _, client := range mcpClientNames() {
			block, where, status := mcpSaid(t, client, host, "--port", "2222")
			if status != exitOK || !strings.HasPrefix(where, "for "+client+": ") {
				t.Fatalf("%s: %d %s", client, status, where)
			}
			got := programIn(t, client, block)
			if got[0] == sshAt && client == "claude-desktop" {
				got[0] = "ssh"
			}
			if !slices.Equal(got, []string{"ssh", "-T", "-o", "BatchMode=yes", "-p", "2222", want, "mcp"}) {
				t.Errorf("%s %s: %q", client, host, got)
			}
		}
	}
}

func TestANameThatIsNoHostIsRefused(t *testing.T) {
	for _, host := range []string{
		"", "-oProxyCommand=x", "a@-oProxyCommand=x", "-a@b", "a b", "a;touch x", "$(touch x)", "`x`", "a'b", `a"b`, "a\nb", "a\x1b[2J", "a@b@c", "@b", "a@", "b:22", "[::1", "fe80::1%x",
		"é", "ssh://a", strings.Repeat("a", 254), "a.", "..", "a/b",
	} {
		out, complaint, status := mcpSaid(t, "codex", "--", host)
		if status != exitUsage || out != "" || complaint == "" || strings.Contains(complaint, "\x1b") {
			t.Errorf("%q: %d %q %q", host, status, out, complaint)
		}
	}
	for _, words := range [][]string{{}, {"codex"}, {"vi", "gw"}, {"codex", "gw", "x"}, {"codex", "gw", "--port", "65536"}, {"codex", "gw", "--port", "-1"}} {
		if out, _, status := mcpSaid(t, words...); status != exitUsage || out != "" {
			t.Errorf("%q: %d %q", words, status, out)
		}
	}
}

// TestBlocksKeepHostileWords gives each form what no name of a host may be: the forms do not rely on that.
func TestBlocksKeepHostileWords(t *testing.T) {
	program := []string{"ssh", "it's", `"`, "$(touch x) `touch x` $HOME", "a\nb", `\`, "]\n[mcp_servers.evil]\ncommand='x'", `"}}`, "", "*", "\u2028é", "#", "~"}
	for name, client := range mcpClients {
		block, err := client.block(program)
		if err != nil {
			t.Fatal(err)
		}
		if got := programIn(t, name, block); !slices.Equal(got[1:], program[1:]) {
			t.Errorf("%s: %q is read as %q", name, block, got)
		}
	}
}
