package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// A record is JSON, and JSON hardly notices damage: with one bit of a field's name changed the field is not there, and an operation
// that has started is one that has not. So each record ends with a field that holds the CRC-32C (RFC 3720, appendix B.4) of what
// stands before it, which finds every change of up to 32 bits in a row. Records of programs that wrote none are read as they are.

const (
	sealField = `,"Check":"`
	sealEnd   = `"}`
	sealSize  = len(sealField) + 8 + len(sealEnd)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errSeal is for a record that is not as it was written.
var errSeal = errors.New("it is not as it was written: its checksum is another one")

// seal is the JSON of a record with its checksum.
func seal(record any) ([]byte, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	if len(text) < 3 || text[len(text)-1] != '}' {
		return nil, fmt.Errorf("a %T is no record with fields", record)
	}
	text = text[:len(text)-1]
	return fmt.Appendf(text, "%s%08x%s", sealField, crc32.Checksum(text, castagnoli), sealEnd), nil
}

// unseal reads a record.
func unseal(text []byte, record any) error {
	text, _, err := unsealed(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, record)
}

// unsealed compares a record with its checksum, and reports whether it has one.
func unsealed(text []byte) (same []byte, sealed bool, err error) {
	at := len(text) - sealSize
	if at < 0 {
		return text, false, nil
	}
	tail := fmt.Appendf(nil, "%s%08x%s", sealField, crc32.Checksum(text[:at], castagnoli), sealEnd)
	if bytes.Equal(text[at:], tail) {
		return text, true, nil
	}
	// No other record has such an end, nor nearly so.
	if bytes.Contains(text, []byte(sealField)) || alike(text[at:], tail[:len(sealField)]) > len(sealField)/2 {
		return nil, true, errSeal
	}
	return text, false, nil
}

// alike is how many bytes of two texts are the same.
func alike(a, b []byte) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}
