package storetest

import (
	"fmt"
	"slices"
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func secretTests() []test {
	return []test{
		{"the first proposed value stays", firstSecretStays},
		{"all who ask at once get the same", sharedUnderConcurrency},
		{"names that look alike are different secrets", lookalikeSecrets},
		{"a secret needs a name and a value", invalidSecrets},
		{"a shared secret writes no event and no change", secretsAreNotRecorded},
	}
}

// shared is the text that the name has once this value was proposed.
func shared(t testing.TB, s store.Store, name, proposed string) string {
	t.Helper()
	return must(s.SharedSecret(t.Context(), name, identity.NewSecret(proposed)))(t).Reveal()
}

func firstSecretStays(t *testing.T, s store.Store) {
	for _, proposed := range []string{"first", "second", "first"} {
		equal(t, "secret", shared(t, s, "name", proposed), "first")
	}
}

func sharedUnderConcurrency(t *testing.T, s store.Store) {
	for round := range 5 {
		got := make([]string, 16)
		for _, err := range concurrently(len(got), func(i int) error {
			v, err := s.SharedSecret(t.Context(), fmt.Sprint(round), identity.NewSecret(fmt.Sprint(i)))
			got[i] = v.Reveal()
			return err
		}) {
			succeeds(t, err)
		}
		if slices.Sort(got); got[0] == "" || got[0] != got[len(got)-1] {
			t.Errorf("got %q, want all the same", got)
		}
		equal(t, "later", shared(t, s, fmt.Sprint(round), "late"), got[0])
	}
}

func lookalikeSecrets(t *testing.T, s store.Store) {
	for range 2 {
		for _, name := range lookalikes() {
			equal(t, "secret", shared(t, s, name, "of "+name), "of "+name)
		}
	}
}

func invalidSecrets(t *testing.T, s store.Store) {
	for _, given := range [][2]string{{"", "value"}, {"name", ""}, {"\xff", "value"}, {"name", "a\x00b"}} {
		fails(s.SharedSecret(t.Context(), given[0], identity.NewSecret(given[1])))(t, store.ErrInvalid)
	}
	equal(t, "secret", shared(t, s, "name", "first"), "first")
}

func secretsAreNotRecorded(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	before := readWritten(t, s)
	shared(t, s, "name", "value")
	equal(t, "written", readWritten(t, s), before)
}
