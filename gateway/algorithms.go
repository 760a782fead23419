package gateway

import (
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/gateway/config"
)

// What is on offer where the configuration names nothing: without SHA-1, and without the curves of NIST, which auditors of SSH
// servers call failures. All clients of the last ten years have one of each.
var (
	defaultKeyExchanges = []string{
		gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519, gossh.KeyExchangeDH16SHA512, gossh.KeyExchangeDH14SHA256,
	}
	defaultCiphers = []string{
		gossh.CipherAES128GCM, gossh.CipherAES256GCM, gossh.CipherChaCha20Poly1305, gossh.CipherAES256CTR, gossh.CipherAES192CTR, gossh.CipherAES128CTR,
	}
	defaultMACs = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM, gossh.HMACSHA256, gossh.HMACSHA512}
	// rsaSignatures are those that a host key of RSA makes (RFC 8332). ssh-rsa is SHA-1.
	rsaSignatures = []string{gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256}
)

// algorithmsOf is what the configuration has on offer.
func algorithmsOf(c config.Algorithms) gossh.Config {
	or := func(set, otherwise []string) []string {
		if set == nil {
			return otherwise
		}
		return set
	}
	return gossh.Config{
		KeyExchanges: or(c.KeyExchanges, defaultKeyExchanges), Ciphers: or(c.Ciphers, defaultCiphers), MACs: or(c.MACs, defaultMACs),
	}
}

// loginAlgorithms are the signatures by which clients log in: those that the library calls secure.
func loginAlgorithms() []string { return gossh.SupportedAlgorithms().PublicKeyAuths }

// strongSigner is a host key that makes no signature of SHA-1.
func strongSigner(key gossh.AlgorithmSigner) gossh.Signer {
	if key.PublicKey().Type() != gossh.KeyAlgoRSA {
		return key
	}
	strong, err := gossh.NewSignerWithAlgorithms(key, rsaSignatures)
	if err != nil {
		return key // of a type that says it is RSA and is not; the library refuses it
	}
	return strong
}
