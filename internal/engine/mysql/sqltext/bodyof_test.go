package sqltext_test

import (
	"testing"

	. "forebay/internal/engine/mysql/sqltext"
)

func TestBodyOf(t *testing.T) {
	t.Parallel()
	tests := []struct{ create, want string }{
		{"CREATE DEFINER=`u`@`%` PROCEDURE `p`()\nBEGIN END", "BEGIN END"},
		{"CREATE DEFINER=`procedure`@`%` PROCEDURE `b``egin`(IN a decimal(10,2), INOUT `c` enum('x)','y\n'))\n    NO SQL\n    SQL SECURITY INVOKER\n    COMMENT 'select 1\\n'\nselect 'it\\'s'", "select 'it\\'s'"},
		{"CREATE DEFINER=`u`@`%` FUNCTION `f`(a int) RETURNS varchar(10) CHARSET utf8mb4 COLLATE utf8mb4_bin\n    READS SQL DATA\n    DETERMINISTIC\nRETURN a", "RETURN a"},
		{"CREATE DEFINER=`u`@`%` FUNCTION `f`() RETURNS enum('a','b')\n    MODIFIES SQL DATA\n-- why\n  l: BEGIN RETURN 1; END", "l: BEGIN RETURN 1; END"},
		{"CREATE DEFINER=`u`@`%` PROCEDURE `p`()\ncomment: BEGIN END", "comment: BEGIN END"},
		{"CREATE DEFINER=`u`@`%` TRIGGER `each` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = 1", "SET NEW.a = 1"},
		{"CREATE DEFINER=`u`@`%` TRIGGER tr after update on d.t\nfor each row follows `x` begin end", "begin end"},
		{"CREATE DEFINER=`u`@`%` TRIGGER tr after update on t for each row follows: begin end", "follows: begin end"},
		{"CREATE TABLE t (a int)", ""},
		{"CREATE PROCEDURE p", ""},
		{"CREATE PROCEDURE p()\n", ""},
		{"", ""},
	}
	for _, tt := range tests {
		body, ok := BodyOf([]byte(tt.create), mysql8)
		if string(body) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %t", tt.create, body, ok)
		}
	}
}

func FuzzBodyOf(f *testing.F) {
	f.Add([]byte("CREATE DEFINER=`u`@`%` FUNCTION `f`(a int) RETURNS int\n    COMMENT 'x'\nRETURN 1"))
	f.Add([]byte("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW FOLLOWS b SET @c = 1"))
	f.Fuzz(func(t *testing.T, create []byte) {
		if body, ok := BodyOf(create, mysql8); ok && len(body) == 0 {
			t.Errorf("%q: empty body", create)
		}
	})
}
