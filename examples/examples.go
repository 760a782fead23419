// Package examples holds scripts that show what the gateway is for. The executable embeds them and can show them anywhere.
// They know nothing of the gateway: they are ordinary Python. Begin with check_system.py.
package examples

import _ "embed"

// CheckSystem looks at a host: its disks, memory and processes, and one step that a human has to approve.
//
//go:embed check_system.py
var CheckSystem string
