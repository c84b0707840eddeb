package profile_test

import (
	"slices"
	"testing"

	"postern/authz/identity"
)

func TestSelectTakesContextThenHostThenFallback(t *testing.T) {
	set := load(t, true, written(t, minimal+"hosts: [api.example, '[::1]']"))
	for name, tt := range map[string]struct {
		context, host string
		fallback      identity.ProfileName
		want          identity.ProfileName // empty: none
	}{
		"the context goes before the host":       {"artos", "platform.authenta.ai", "", "artos"},
		"an unknown context is nobody's":         {"nobody", "platform.authenta.ai", "artos", ""},
		"a host":                                 {"", "platform.authenta.ai", "artos", "authenta"},
		"a host in mixed case":                   {"", "Platform.AUTHENTA.ai", "artos", "authenta"},
		"a host with a port":                     {"", "platform.authenta.ai:8443", "artos", "authenta"},
		"a host with a trailing dot":             {"", "platform.authenta.ai.", "artos", "authenta"},
		"a host with a trailing dot and a port":  {"", "platform.authenta.ai.:443", "artos", "authenta"},
		"a host with two trailing dots":          {"", "platform.authenta.ai..", "", ""},
		"an IPv6 address":                        {"", "[::1]", "artos", "api"},
		"an IPv6 address with a port":            {"", "[::1]:10000", "artos", "api"},
		"an IPv6 address without brackets":       {"", "::1", "", ""},
		"a host with a port that is none":        {"", "platform.authenta.ai:https", "", ""},
		"two hosts joined by the proxy":          {"", "platform.authenta.ai,api.example", "", ""},
		"a host behind user information":         {"", "platform.authenta.ai@evil.example", "", ""},
		"a host below a known one":               {"", "x.platform.authenta.ai", "", ""},
		"an unknown host takes the fallback":     {"", "elsewhere.example", "artos", "artos"},
		"an unknown host without a fallback":     {"", "elsewhere.example", "", ""},
		"an unknown host with an unknown one":    {"", "elsewhere.example", "nobody", ""},
		"no host":                                {"", "", "artos", "artos"},
		"a host longer than a name may be":       {"", string(make([]byte, 300)), "artos", "artos"},
		"a context is the name, byte for byte":   {"Artos", "", "artos", ""},
		"the name of a profile is no host of it": {"", "artos", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got identity.ProfileName
			if p := set.Select(tt.context, tt.host, tt.fallback); p != nil {
				got = p.Name
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNamesAreSorted(t *testing.T) {
	want := []identity.ProfileName{"artanis", "arthur-engine", "arthur-platform", "artos", "authenta", "datasets"}
	if got := presets(t).Names(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if p := presets(t).ByName("nobody"); p != nil {
		t.Errorf("an unknown name is %q", p.Name)
	}
}
