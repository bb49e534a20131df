package sqltext

// Inspect reads a text, in UTF-16LE, and fills a with what running it may leave behind. It keeps neither text nor a.
func Inspect(text []byte, m Mode, a *Analysis) {
	a.reset(m)
	a.Effects = Unknown
}
