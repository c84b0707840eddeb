package profile

import (
	"net/netip"
	"slices"
	"strings"

	"postern/authz/identity"
)

// Set is the profiles that are served. It is immutable.
type Set struct {
	byName map[identity.ProfileName]*Profile
	byHost map[string]*Profile
	names  []identity.ProfileName
}

// ByName returns the profile of that name, or nil.
func (s *Set) ByName(name identity.ProfileName) *Profile { return s.byName[name] }

// AssumeEnvironment gives the environment to every profile that names none. Call it
// before the set is shared.
func (s *Set) AssumeEnvironment(e identity.Environment) {
	for _, p := range s.byName {
		if p.Environment == "" {
			p.Environment = e
		}
	}
}

// Names lists the profiles in the order of the alphabet; the caller must not
// change it.
func (s *Set) Names() []identity.ProfileName { return s.names }

// Select finds the profile of a request, or nil. What the proxy's configuration
// says (context, the "profile" context extension) goes first, and an unknown name
// there is nobody's; then the exact host, as received; then the fallback, a name
// that may be empty. Select does not allocate.
func (s *Set) Select(context, host string, fallback identity.ProfileName) *Profile {
	if context != "" {
		return s.byName[identity.ProfileName(context)]
	}
	var buffer [maxHost]byte
	if n, ok := foldHost(&buffer, host); ok {
		if p, known := s.byHost[string(buffer[:n])]; known {
			return p
		}
	}
	return s.byName[fallback]
}

// maxHost bounds a host name (RFC 1035 § 2.3.4).
const maxHost = 253

// foldHost writes a received host in the form hosts are compared in: without a
// port and one trailing dot, in lower case. It is not ok for one that is too long.
func foldHost(into *[maxHost]byte, host string) (int, bool) {
	host = strings.TrimSuffix(withoutPort(host), ".")
	if len(host) > maxHost {
		return 0, false
	}
	for i := 0; i < len(host); i++ {
		into[i] = lower(host[i])
	}
	return len(host), true
}

// normalHost is foldHost for a text that is kept.
func normalHost(host string) string {
	var buffer [maxHost]byte
	n, _ := foldHost(&buffer, host)
	return string(buffer[:n])
}

// withoutPort cuts ":port" off; the colons of an IPv6 address stand in brackets.
func withoutPort(host string) string {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || !all(host[colon+1:], func(b byte) bool { return '0' <= b && b <= '9' }) {
		return host
	}
	if name := host[:colon]; strings.IndexByte(name, ':') < 0 || strings.HasSuffix(name, "]") {
		return name
	}
	return host
}

// newSet indexes profiles, and notes hosts that two of them serve.
func newSet(profiles []*Profile, hostPlaces map[*Profile][]place, problems *Problems) *Set {
	s := &Set{byName: map[identity.ProfileName]*Profile{}, byHost: map[string]*Profile{}}
	for _, p := range profiles {
		s.byName[p.Name] = p
		s.names = append(s.names, p.Name)
		for i, host := range p.Hosts {
			if other := s.byHost[host]; other != nil && other != p {
				problems.add(hostPlaces[p][i], "hosts", "%q is also served by the profile %s; a host belongs to one profile", host, other.Name)
			}
			s.byHost[host] = p
		}
	}
	slices.Sort(s.names)
	return s
}

// isHost reports whether the text, in its normal form, is a host name or a
// bracketed IPv6 address.
func isHost(text string) bool {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && strings.HasSuffix(inner, "]")
	}
	return text != "" && all(text, func(b byte) bool {
		return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '.' || b == '-' || b == '_'
	})
}
