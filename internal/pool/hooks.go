package pool

// Hooks returns the hooks given to NewShard. It may be called from any goroutine.
func (s *Shard) Hooks() Hooks { return s.hooks }
