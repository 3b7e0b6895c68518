package remote

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// setKeys is set for what is about host keys and the operator's own.
func (s *settings) setKeys(key, value string) {
	switch key {
	case "certificatefile":
		s.certificateFiles = append(s.certificateFiles, value)
	case "knownhostscommand":
		s.knownHostsCommand = unlessNone(value)
	case "revokedhostkeys":
		if value != "none" {
			s.revokedHostKeys = append(s.revokedHostKeys, value)
		}
	case "pkcs11provider":
		s.pkcs11Provider = unlessNone(value)
	case "batchmode":
		s.batchMode = value == "yes"
	case "pubkeyauthentication":
		s.publicKeysDisabled = s.publicKeysDisabled || value == "false" || value == "no"
	case "preferredauthentications":
		s.publicKeysDisabled = s.publicKeysDisabled || !slices.Contains(strings.Split(value, ","), "publickey")
	case "hostkeyalgorithms":
		s.hostKeyAlgorithms = strings.Split(value, ",")
	case "pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes": // the latter before OpenSSH 8.5
		s.pubkeyAcceptedAlgorithms = strings.Split(value, ",")
	case "casignaturealgorithms":
		s.caSignatureAlgorithms = strings.Split(value, ",")
	case "requiredrsasize":
		s.requiredRSASize, _ = strconv.Atoi(value)
	}
}

// unlessNone is the value of an option that "none" turns off.
func unlessNone(value string) string {
	if value == "none" {
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
