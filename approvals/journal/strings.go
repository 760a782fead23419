package journal

import (
	"encoding/json"
	"unicode/utf8"
)

// Strings is a list of byte strings. Its JSON is a list of texts, or an object with base64 where one of them is no
// UTF-8: JSON itself would replace such bytes, and what runs must be what was shown, to the byte.
type Strings []string

type base64Strings struct {
	B64 [][]byte `json:"b64"`
}

// MarshalJSON encodes the list without losing a byte.
func (s Strings) MarshalJSON() ([]byte, error) {
	for _, text := range s {
		if !utf8.ValidString(text) {
			exact := base64Strings{B64: make([][]byte, len(s))}
			for i := range s {
				exact.B64[i] = []byte(s[i])
			}
			return json.Marshal(exact)
		}
	}
	return json.Marshal([]string(s))
}

// UnmarshalJSON decodes either form.
func (s *Strings) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return json.Unmarshal(text, (*[]string)(s))
	}
	var exact base64Strings
	if err := json.Unmarshal(text, &exact); err != nil {
		return err
	}
	*s = make(Strings, len(exact.B64))
	for i, b := range exact.B64 {
		(*s)[i] = string(b)
	}
	return nil
}

// commandFields is Command without its methods; exactPaths are its paths where they are no UTF-8.
type (
	commandFields Command
	exactPaths    struct {
		commandFields
		ExactPath []byte `json:",omitempty"`
		ExactDir  []byte `json:",omitempty"`
	}
)

// MarshalJSON encodes the command without losing a byte.
func (c Command) MarshalJSON() ([]byte, error) {
	e := exactPaths{commandFields: commandFields(c)}
	if !utf8.ValidString(c.Path) {
		e.Path, e.ExactPath = "", []byte(c.Path)
	}
	if !utf8.ValidString(c.Dir) {
		e.Dir, e.ExactDir = "", []byte(c.Dir)
	}
	return json.Marshal(e)
}

// UnmarshalJSON decodes what MarshalJSON encodes.
func (c *Command) UnmarshalJSON(text []byte) error {
	var e exactPaths
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	*c = Command(e.commandFields)
	if e.ExactPath != nil {
		c.Path = string(e.ExactPath)
	}
	if e.ExactDir != nil {
		c.Dir = string(e.ExactDir)
	}
	return nil
}
