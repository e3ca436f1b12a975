// Command reference reads one JSON string a line and prints for each what the distribution project's library makes of it,
// as one JSON object a line. The tests of src/image/reference.rs compare with it.
package main

import (
	"bufio"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/json"
	"fmt"
	"os"

	"github.com/distribution/reference"
)

type verdict struct {
	Input string `json:"input"`
	// Valid tells whether ParseNormalizedNamed takes it.
	Valid bool `json:"valid"`
	// Canonical is its complete form, without a tag that was not written.
	Canonical string `json:"canonical,omitempty"`
	// Familiar is its short form.
	Familiar string `json:"familiar,omitempty"`
	// Stored tells whether ParseNamed takes it: whether it is canonical as it is.
	Stored bool `json:"stored,omitempty"`
}

func judge(input string) verdict {
	named, err := reference.ParseNormalizedNamed(input)
	if err != nil {
		return verdict{Input: input}
	}
	_, err = reference.ParseNamed(input)
	return verdict{
		Input:     input,
		Valid:     true,
		Canonical: named.String(),
		Familiar:  reference.FamiliarString(named),
		Stored:    err == nil,
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		var input string
		if err := json.Unmarshal(lines.Bytes(), &input); err != nil {
			return fmt.Errorf("%q is not a JSON string: %w", lines.Text(), err)
		}
		if err := encoder.Encode(judge(input)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return out.Flush()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}
