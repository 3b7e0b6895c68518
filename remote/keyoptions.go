package remote

import (
	"crypto/rsa"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// unlessNone is the value of an option that "none" turns off.
func unlessNone(value string) string {
	if strings.EqualFold(value, "none") {
		return ""
	}
	return value
}

// longEnough refuses an RSA key that is shorter than RequiredRSASize.
func (s *settings) longEnough(key ssh.PublicKey) error {
	public, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil
	}
	if key, ok := public.CryptoPublicKey().(*rsa.PublicKey); ok && key.N.BitLen() < s.requiredRSASize {
		return fmt.Errorf("it has %d bits, and RequiredRSASize is %d", key.N.BitLen(), s.requiredRSASize)
	}
	return nil
}
