package controlplane

import (
	"crypto/rand"
	"math/big"
)

// Below draws a number from 0 to n-1, each equally likely, that nobody can foresee.
func Below(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return int(i.Int64())
}

// Draw draws n bytes of chars, each equally likely.
func Draw(n int, chars string) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = chars[Below(len(chars))]
	}
	return string(out)
}
