package command

import "testing"

func TestSourcesOfOtherEncodings(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"# -*- coding: latin-1 -*-\nprint('caf\xe9')\n", "# -*- coding: utf-8 -*-\nprint('café')\n"},
		{"#!/usr/bin/python3\n# vim: set fileencoding=iso-8859-15 :\nx = '\xa4'\n", "#!/usr/bin/python3\n# vim: set fileencoding=utf-8 :\nx = '€'\n"},
		{"\r\n#coding=cp1252\r\nx = '\x80'", "\r\n#coding=utf-8\r\nx = '€'"},
		{"# coding: koi8-r\n'\xc1'", "# coding: utf-8\n'а'"},
		{"# coding: shift_jis\n'\x82\xa0'", "# coding: utf-8\n'あ'"},
		{"# coding: euc-jp\n'\xa4\xa2'", "# coding: utf-8\n'あ'"},
		{"# coding: gb18030\n'\xc4\xe3'", "# coding: utf-8\n'你'"},
		// What is UTF-8 already is not touched, nor what declares nothing: a declaration is in the first two lines, and the first of
		// these says nothing else.
		{"# coding: latin-1\nprint('café')\n", "# coding: latin-1\nprint('café')\n"},
		{"x = '\xe9'\n", "x = '\xe9'\n"},
		{"x = 1\n# coding: latin-1\n'\xe9'", "x = 1\n# coding: latin-1\n'\xe9'"},
		{"#\n#\n# coding: latin-1\n'\xe9'", "#\n#\n# coding: latin-1\n'\xe9'"},
		{"\xff", "\xff"}, {"", ""},
	} {
		if got, err := sourceText(c.source); got != c.want || err != nil {
			t.Errorf("%q: %q, %v, want %q", c.source, got, err, c.want)
		}
	}
	for _, source := range []string{
		"# coding: no-such\n'\xe9'", "# coding: utf-16\n'\xe9'", "# coding: utf-8\n'\xe9'", "# coding: shift_jis\n'\x82'", "# coding: euc-jp\n'\xff\xff'",
	} {
		if got, err := sourceText(source); err == nil {
			t.Errorf("%q: %q", source, got)
		}
	}
}
