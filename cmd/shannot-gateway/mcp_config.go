package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/internal/commandline"
)

// sshAt is where ssh is for a client that does not look along PATH.
const sshAt = "/usr/bin/ssh"

// mcpServerName is what a client calls the gateway.
const mcpServerName = "shannot"

// mcpClient is a client of the Model Context Protocol: where its configuration is, and what stands there.
type mcpClient struct {
	place string
	block func(program []string) (string, error)
}

// mcpClients are those that `mcp config` knows.
var mcpClients = map[string]mcpClient{
	"claude-code": {"run this in a shell", func(program []string) (string, error) {
		return "claude mcp add --transport stdio " + mcpServerName + " -- " + shellWords(program) + "\n", nil
	}},
	"claude-desktop": {"claude_desktop_config.json (Settings, Developer, Edit Config)", func(program []string) (string, error) {
		return mcpJSON(map[string]any{"command": sshAt, "args": program[1:]})
	}},
	"codex": {"~/.codex/config.toml", mcpTOML},
	"cursor": {".cursor/mcp.json of the project, or ~/.cursor/mcp.json", func(program []string) (string, error) {
		return mcpJSON(map[string]any{"command": program[0], "args": program[1:]})
	}},
	"gemini": {"~/.gemini/settings.json", func(program []string) (string, error) {
		return mcpJSON(map[string]any{"command": program[0], "args": program[1:], "timeout": mcpPatience * 1000})
	}},
}

// mcpPatience is how long a client that can be told waits for an answer, in seconds: longer than a call waits for a human.
const mcpPatience = 120

// mcpClientNames are their names, sorted.
func mcpClientNames() []string {
	names := make([]string, 0, len(mcpClients))
	for name := range mcpClients {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// mcpJSON is a block of JSON with one server.
func mcpJSON(server map[string]any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"mcpServers": map[string]any{mcpServerName: server}}); err != nil {
		return "", fmt.Errorf("write the block: %w", err)
	}
	return b.String(), nil
}

// mcpTOML is a block of TOML with one server.
func mcpTOML(program []string) (string, error) {
	type server struct {
		Command string   `toml:"command"`
		Args    []string `toml:"args"`
		Startup int      `toml:"startup_timeout_sec"`
		Tool    int      `toml:"tool_timeout_sec"`
	}
	text, err := toml.Marshal(map[string]map[string]server{"mcp_servers": {mcpServerName: {program[0], program[1:], 30, mcpPatience}}})
	if err != nil {
		return "", fmt.Errorf("write the block: %w", err)
	}
	// The tables above it say nothing.
	_, block, _ := strings.Cut(string(text), "["+"mcp_servers."+mcpServerName+"]")
	return "[mcp_servers." + mcpServerName + "]" + block, nil
}

// shellWords are words as a shell of POSIX takes them.
func shellWords(words []string) string {
	quoted := make([]string, 0, len(words))
	for _, w := range words {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_") != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted = append(quoted, w)
	}
	return strings.Join(quoted, " ")
}

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
)

// maxHostName is the longest name of a host, in bytes: RFC 1035, section 2.3.4.
const maxHostName = 253

// sshDestination is HOST or USER@HOST as ssh takes it. A name that ssh, a shell or a client might take for something else is refused:
// what is printed is pasted.
func sshDestination(given string) (string, error) {
	user, host, ok := strings.Cut(given, "@")
	if !ok {
		user, host = "shannot", given
	}
	if inside, ok := strings.CutPrefix(host, "["); ok {
		if inside, ok = strings.CutSuffix(inside, "]"); ok {
			host = inside
		}
	}
	address, err := netip.ParseAddr(host)
	switch isAddress := err == nil && address.Zone() == ""; {
	case len(user) > 64 || !userName.MatchString(user):
		return "", fmt.Errorf("%q is no name of a user", commandline.Shortened(user))
	case !isAddress && strings.Count(host, ":") == 1:
		return "", errors.New("give the port by --port, not after the host")
	case !isAddress && (len(host) > maxHostName || !hostName.MatchString(host)):
		return "", fmt.Errorf("%q is no name or address of a host", commandline.Shortened(host))
	}
	return user + "@" + host, nil
}

// mcpCommand is `mcp config CLIENT HOST`.
func mcpCommand(p *program) *cobra.Command {
	port := 0
	config := &cobra.Command{
		Use:   "config CLIENT [USER@]HOST [--port N]",
		Short: "print what a client of MCP is configured with",
		Long: `Prints the block that makes an agent's client start ssh as a server of the Model Context Protocol, to paste. The clients are ` +
			strings.Join(mcpClientNames(), ", ") + `. Standard error says where it belongs. HOST is the gateway; the user is shannot where none is named.`,
		Example: `shannot-gateway mcp config claude-code gateway.example.com
shannot-gateway mcp config codex shannot@gateway.example.com --port 2222`,
		ValidArgs: mcpClientNames(),
		Args: func(_ *cobra.Command, words []string) error {
			switch {
			case len(words) != 2:
				return errors.New("name a client and a host")
			case mcpClients[words[0]].block == nil:
				return fmt.Errorf("there is no client %q; there are: %s", commandline.Shortened(words[0]), strings.Join(mcpClientNames(), ", "))
			case port < 0 || port > 65535:
				return fmt.Errorf("%d is no port", port)
			}
			_, err := sshDestination(words[1])
			return err
		},
	}
	config.Flags().IntVar(&port, "port", 0, "the gateway's port: a `N`umber, where it is not ssh's own")
	p.does(config, func(_ context.Context, words []string) int { return mcpConfig(p, words[0], words[1], port) })
	return group("mcp COMMAND", "configure clients of the Model Context Protocol", "Configures clients of the Model Context Protocol, which ssh HOST mcp serves.", config)
}

// mcpConfig prints the block for a client.
func mcpConfig(p *program, name, host string, port int) int {
	destination, err := sshDestination(host)
	if err != nil {
		return p.fail(err)
	}
	ssh := []string{"ssh", "-T", "-o", "BatchMode=yes"}
	if port != 0 {
		ssh = append(ssh, "-p", fmt.Sprint(port))
	}
	client := mcpClients[name]
	block, err := client.block(append(ssh, destination, "mcp"))
	if err != nil {
		return p.fail(err)
	}
	_, _ = fmt.Fprintf(p.stderr, "for %s: %s\n", render.Line(name), client.place)
	if _, err := io.WriteString(p.stdout, block); err != nil {
		return p.fail(fmt.Errorf("print the block: %w", err))
	}
	return exitOK
}
