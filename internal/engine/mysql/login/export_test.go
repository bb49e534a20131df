package login

// Proofs for clients that tests play by hand.
var (
	NativeProof  = nativeProof
	SHA2Proof    = sha2Proof
	Ed25519Proof = ed25519Proof
)
