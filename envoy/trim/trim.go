// Package trim says what an Envoy that sends Postern fewer bytes has to know of a
// set of profiles: which headers their decisions read, and which names it takes
// from every request itself, because Postern no longer sees them. It writes lines
// of Envoy's configuration and must not know its protocol.
package trim

import (
	"fmt"
	"slices"
	"strings"

	"postern/authz/profile"
)

// Headers is what a set of profiles asks of such an Envoy.
type Headers struct {
	// Allowed are the names to send to Postern, lower case, sorted: what any of the
	// profiles reads.
	Allowed []string
	// Strip are the names to take from every request, in each spelling that a server
	// may fold into one of them: what any of the profiles protects. Those that are
	// also in Allowed are taken in every spelling but their own. Lower case, sorted.
	Strip []string
}

// Of collects what all profiles of the set need together: an Envoy does not know
// which of them a request is for.
func Of(set *profile.Set) Headers {
	var h Headers
	for _, name := range set.Names() {
		p := set.ByName(name)
		h.Allowed = append(h.Allowed, p.Declared...)
		h.Strip = append(h.Strip, p.Upstream.Protected...)
	}
	slices.Sort(h.Allowed)
	slices.Sort(h.Strip)
	h.Allowed, h.Strip = slices.Compact(h.Allowed), slices.Compact(h.Strip)
	return h
}

// What a server may read as "-", and what it may also drop at the ends. Envoy
// writes all names in lower case before it compares them.
const (
	gap  = "[-._]+"
	ends = "[-._]*"
	odd  = "(?:-[-._]+|[._][-._]*)" // a gap that is not just "-"
)

// Expression matches, as a whole, the names to strip (RE2). There is one for all of
// them: Envoy holds every header of a request against it.
func (h Headers) Expression() string { return strings.Join(h.lines(), "") }

// lines is the expression in parts that can be read.
func (h Headers) lines() []string {
	var always, misspelt []string
	for _, name := range h.Strip {
		parts := strings.Split(name, "-")
		if !slices.Contains(h.Allowed, name) {
			always = append(always, strings.Join(parts, gap))
			continue
		}
		whole := strings.Join(parts, gap)
		misspelt = append(misspelt, gap+whole+ends, whole+gap)
		for i := 1; i < len(parts); i++ {
			misspelt = append(misspelt, strings.Join(parts[:i], "-")+odd+strings.Join(parts[i:], gap))
		}
	}
	var lines []string
	for i, part := range always {
		before, after := "|", ""
		if i == 0 {
			before = ends + "(?:"
		}
		if i == len(always)-1 {
			after = ")" + ends
		}
		lines = append(lines, before+part+after)
	}
	for i, part := range misspelt {
		if i > 0 || len(always) > 0 {
			part = "|" + part
		}
		lines = append(lines, part)
	}
	return lines
}

// YAML are the parts of Envoy's configuration that follow from the profiles. Envoy
// refuses an expression of this length unless its runtime allows it.
func (h Headers) YAML() string {
	var text strings.Builder
	text.WriteString("# In the bootstrap: lets in one expression of this length, which is cheaper than several.\n" +
		"layered_runtime:\n  layers: [{ name: static, static_layer: { re2.max_program_size.error_level: 2000, re2.max_program_size.warn_level: 2000 } }]\n" +
		"# In ext_authz (typed_config): what Postern reads.\nallowed_headers:\n  patterns:\n")
	for _, name := range h.Allowed {
		fmt.Fprintf(&text, "    - exact: %s\n", name)
	}
	text.WriteString("# In early_header_mutation_extensions (typed_config): what only Postern may say, in every spelling.\n" +
		"mutations:\n  - remove_on_match:\n      key_matcher:\n        safe_regex:\n          regex: \"\\\n")
	for _, line := range h.lines() {
		fmt.Fprintf(&text, "            %s\\\n", line)
	}
	text.WriteString("            \"\n" +
		"# Beside the profile of each route (check_settings), because of the two above.\n# context_extensions: { profile: NAME, answer: short }\n")
	return text.String()
}
