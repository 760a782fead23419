// Package spelling finds the known word that somebody most likely meant by one that nobody knows. It must never take time
// or memory that grows with what was typed.
package spelling

import (
	"slices"
	"strings"
)

// maxCompared is how much of a word is compared, in bytes.
const maxCompared = 64

// Nearest is the known word that is closest to a word, whatever the distance; "" where none is known. Of several at the same
// distance it is the first one in the order of bytes.
func Nearest(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	return slices.MinFunc(known, func(a, b string) int {
		if d := distance(word, a) - distance(word, b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// Meant is the known word that a mistyped one most likely stands for: one letter in three may be wrong, two at most, or the
// word is the beginning of one known word alone. It is "" where no known word is close enough.
func Meant(word string, known []string) string {
	if word == "" || len(word) > maxCompared {
		return ""
	}
	nearest := Nearest(word, known)
	if d := distance(word, nearest); nearest != "" && d > 0 && d <= min(2, (len(nearest)+1)/3) {
		return nearest
	}
	begun := ""
	for _, k := range known {
		if len(word) > 1 && len(k) > len(word) && strings.HasPrefix(k, word) {
			if begun != "" {
				return ""
			}
			begun = k
		}
	}
	return begun
}

// distance is how many letters have to be inserted, removed, replaced or swapped with their neighbour to make one word of the
// other (optimal string alignment), each word taken up to maxCompared.
func distance(a, b string) int {
	a, b = a[:min(len(a), maxCompared)], b[:min(len(b), maxCompared)]
	// Rows of the table of distances between beginnings: for i-1, i and i+1 letters of a.
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost = min(row[j], row[j+1], next[j]) + 1
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cost = min(cost, before[j-1]+1)
			}
			next[j+1] = cost
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
