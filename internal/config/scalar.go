package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// span is a length of time in the file: whole seconds, a text with units ("90s", "5m"), or "unlimited".
type span struct {
	of        time.Duration
	unlimited bool
}

const spanExpected = `a number of seconds, a duration such as "90s" or "24h"`

// maxSpan keeps every deadline computed from a span within what the clock can say.
const maxSpan = 10 * 365 * 24 * time.Hour

// orZero is the duration, with 0 for unlimited.
func (s span) orZero() time.Duration {
	if s.unlimited {
		return 0
	}
	return s.of
}

// orForever is the duration, with Forever for unlimited, where zero means something else.
func (s span) orForever() time.Duration {
	if s.unlimited {
		return Forever
	}
	return s.of
}

func (s span) String() string {
	if s.unlimited {
		return "unlimited"
	}
	return s.of.String()
}

func parseSpan(n ast.Node) (span, error) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		seconds, err := strconv.ParseInt(strings.ReplaceAll(n.GetToken().Value, "_", ""), 10, 64)
		if err != nil {
			break
		}
		if seconds < 0 || seconds > int64(maxSpan/time.Second) {
			return span{}, fmt.Errorf("expected at least 0 seconds and at most ten years, got %d", seconds)
		}
		return span{of: time.Duration(seconds) * time.Second}, nil
	case *ast.StringNode:
		if n.Value == "unlimited" {
			return span{unlimited: true}, nil
		}
		d, err := time.ParseDuration(n.Value)
		if err != nil {
			break
		}
		if d < 0 || d > maxSpan {
			return span{}, fmt.Errorf("expected at least 0 seconds and at most ten years, got %s", d)
		}
		return span{of: d}, nil
	}
	return span{}, fmt.Errorf("expected %s, got %s", spanExpected, describe(n))
}

func parseInt(n ast.Node) (int64, error) {
	if i, ok := n.(*ast.IntegerNode); ok {
		switch v := i.Value.(type) {
		case int64:
			return v, nil
		case uint64:
			if v <= 1<<63-1 {
				return int64(v), nil
			}
		}
	}
	return 0, fmt.Errorf("expected a whole number, got %s", describe(n))
}

func parseBool(n ast.Node) (bool, error) {
	if b, ok := n.(*ast.BoolNode); ok {
		return b.Value, nil
	}
	return false, fmt.Errorf("expected true or false, got %s", describe(n))
}

func parseText(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return "", fmt.Errorf("expected a text, got %s: put it in quotes", describe(n))
	}
	return "", fmt.Errorf("expected a text, got %s", describe(n))
}

// describe says what a node is, for an error message.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode, nil:
		return "nothing"
	case *ast.BoolNode:
		return fmt.Sprintf("the truth value %t", n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + clip(n.GetToken().Value)
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", clip(n.Value))
	case *ast.LiteralNode:
		return fmt.Sprintf("the text %q", clip(n.Value.Value))
	}
	return "a " + strings.ToLower(n.Type().String())
}

// clip keeps a message readable, however long the value that it quotes.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
