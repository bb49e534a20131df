package pool

// Granted returns how many slots are on their way to shards that asked.
func (b *Budget) Granted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.granted
}
