package policy

import "testing"

// The hint fits the reason that the judge itself gives, and following it runs at once.
func TestAvoidingAQuestionIsToldAndHolds(t *testing.T) {
	j, err := New(DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ asked, hint, instead string }{
		{"L=/var/log; ls $L", "write its value out to run at once", "ls /var/log"},
		{"cat $(which ls)", "", ""},
		{"df / > /srv/out", "leave the redirection out, and the output comes to you at once", "df /"},
		{"ls / &", "leave out the & to run at once", "ls /"},
		{"f() { ls /; }; f", "write its commands out to run at once", "ls /"},
		{"sort -o /srv/out /etc/hosts", "leave the option out, and the output comes to you at once", "sort /etc/hosts"},
		{"dmesg -C", "", ""},
		{"systemctl restart nginx", "", ""},
	} {
		d := j.Shell(c.asked, Context{})
		if d.Verdict != Ask && c.hint != "" {
			t.Errorf("%q is %s", c.asked, d.Verdict)
		}
		if hint := Avoid(d.Reason); c.hint != "" && hint != c.hint {
			t.Errorf("%q (%s): %q, want %q", c.asked, d.Reason, hint, c.hint)
		}
		if c.instead != "" && j.Shell(c.instead, Context{}).Verdict != Allow {
			t.Errorf("%q in place of %q is not allowed", c.instead, c.asked)
		}
	}
}
