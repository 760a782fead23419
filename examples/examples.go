// Package examples holds scripts that show what the gateway is for. They are embedded, so that the executable can
// show them anywhere.
package examples

import _ "embed"

// CheckSystem looks at a host: its disks, memory and processes, and one step that a human has to approve.
//
//go:embed check_system.py
var CheckSystem string
