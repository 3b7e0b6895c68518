package serve

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Info is what Nix knows of a store path.
type Info struct {
	Path string
	// Hash is the SHA-256 of the path's archive, in hex, and Size the archive's in bytes.
	Hash string
	Size int64
	// References are the paths that this one refers to, itself included where it does.
	References []string
	// Deriver is what it was built from; empty, if that is not known.
	Deriver string
	// Signatures vouch for it, each with the name of its key before it.
	Signatures []string
	// Address is how its name follows from its content; empty, if it does not.
	Address string
}

// digits are those of Nix's base 32: without e, o, t and u.
const digits = "0123456789abcdfghijklmnpqrsvwxyz"

// hashBytes are those of a SHA-256; in Nix's base 32 it has 52 digits.
const hashBytes = 32

// hexHash is a hash as Nix writes it, "sha256:" and base 32 or base 16, in hex.
func hexHash(text string) (string, error) {
	sum, ok := strings.CutPrefix(text, "sha256:")
	switch {
	case ok && len(sum) == 2*hashBytes:
		if _, err := hex.DecodeString(sum); err == nil {
			return sum, nil
		}
	case ok && len(sum) == (hashBytes*8+4)/5:
		if b := base32(sum); b != nil {
			return hex.EncodeToString(b), nil
		}
	}
	return "", fmt.Errorf("%.80q is no SHA-256 as Nix writes it", text)
}

// base32 decodes Nix's: the last digit is the lowest, and so is the first byte.
func base32(text string) []byte {
	n := new(big.Int)
	for _, r := range text {
		digit := strings.IndexRune(digits, r)
		if digit < 0 {
			return nil
		}
		n.Add(n.Lsh(n, 5), big.NewInt(int64(digit)))
	}
	if n.BitLen() > 8*hashBytes {
		return nil
	}
	b := n.FillBytes(make([]byte, hashBytes))
	slices.Reverse(b)
	return b
}
