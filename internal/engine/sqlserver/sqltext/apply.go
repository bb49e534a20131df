package sqltext

import "forebay/internal/engine/sqlserver/settings"

// Apply returns s with what the analysed text, which has to be the same, assigns in its order. Call it when the text has
// run without an error: behind one it may not have reached its end, and settings are not known then. It reports false if a
// value is none that s can hold; the settings are not known then, either.
func (a *Analysis) Apply(text []byte, s settings.Set) (settings.Set, bool) {
	return s, a.nAssignments == 0
}

// CallName returns the name of the i-th procedure in UTF-8, as typed, with its parts and quotes.
func (a *Analysis) CallName(text []byte, i int) string { return "" }

// AppendDigest appends a text, in UTF-16LE, with its literals replaced by ? to dst in UTF-8, at most max bytes of it: words
// in lower case, comments dropped, white space made one space. No literal's content gets into it, so it is fit for logs.
// Names stay; what stands in double quotes is a literal unless quotedIdentifier is set.
func AppendDigest(dst, text []byte, quotedIdentifier bool, max int) []byte { return dst }
