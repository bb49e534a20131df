package forebayapi

import (
	"testing"

	"forebay/internal/controlplane"

	"github.com/google/go-cmp/cmp"
)

func TestPause(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const arn = rdsARN + "db-proxy:prx-1"
	paused := func() bool {
		snap, _ := s.plane.State().Snapshot(controlplane.SnapshotOptions{})
		return snap.Proxies[0].Paused
	}
	in := PauseProxyInput{DBProxyName: "P1"}
	for _, step := range []struct {
		name   string
		pause  bool
		allow  string
		code   string
		paused bool // afterwards
		events int
	}{
		{"may resume alone", true, "forebay:ResumeProxy " + arn, "AccessDenied", false, 0},
		{"pause", true, "forebay:PauseProxy " + arn, "", true, 1},
		{"again", true, "forebay:PauseProxy " + arn, "", true, 1},
		{"may pause alone", false, "forebay:PauseProxy " + arn, "AccessDenied", true, 1},
		{"resume", false, "forebay:ResumeProxy " + arn, "", false, 2},
		{"again", false, "forebay:ResumeProxy " + arn, "", false, 2},
	} {
		do := s.resumeProxy
		if step.pause {
			do = s.pauseProxy
		}
		out, code := try(t, do, in, step.allow)
		if code != step.code || paused() != step.paused || s.plane.State().Events.Len() != step.events {
			t.Errorf("%s: code %s, paused %t, %d events", step.name, code, paused(), s.plane.State().Events.Len())
		}
		if want := (ProxyOutput{Proxy{DBProxyName: "p1", ARN: arn, Paused: step.paused}}); step.code == "" && *out != want {
			t.Errorf("%s: answer %+v, want %+v", step.name, out, want)
		}
	}
	var said []string
	for _, e := range s.plane.State().Events.All() {
		said = append(said, e.ID+" "+e.SourceID+" "+e.Message)
	}
	if d := cmp.Diff([]string{"RDS-EVENT-0204 p1 Forebay paused DB proxy p1.", "RDS-EVENT-0204 p1 Forebay resumed DB proxy p1."}, said); d != "" {
		t.Error(d)
	}
	if !s.plane.State().Proxies.Get("prx-1").Updated.Equal(start) {
		t.Error("the proxy's time of change is not that of the call")
	}

	// Who may not is not told whether there is one.
	other := PauseProxyInput{DBProxyName: "other"}
	if _, code := try(t, s.pauseProxy, other, "forebay:PauseProxy "+arn); code != "AccessDenied" {
		t.Errorf("code %s", code)
	}
	if _, code := try(t, s.pauseProxy, other, "forebay:PauseProxy "+rdsARN+"db-proxy:prx-*"); code != "DBProxyNotFoundFault" {
		t.Errorf("code %s", code)
	}

	if _, code := try(t, s.listProxies, ListProxiesInput{}); code != "AccessDenied" {
		t.Errorf("list: code %s", code)
	}
	out, code := try(t, s.listProxies, ListProxiesInput{}, "forebay:ListProxies "+rdsARN+"db-proxy:*")
	if d := cmp.Diff(&ListProxiesOutput{[]Proxy{{DBProxyName: "p1", ARN: arn}}}, out); code != "" || d != "" {
		t.Errorf("list: code %s: %s", code, d)
	}
}
