package profile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/authz/profile"
)

// BenchmarkMatch is what the last of so many routes takes to be found, as it is
// written and in another case.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		var text strings.Builder
		text.WriteString("profile: routed\nextends: authenta\nroutes:\n")
		for i := range n {
			fmt.Fprintf(&text, "  - { route: \"GET /api/v1/area%d/{item}/parts\", permission: READ }\n", i)
		}
		file := filepath.Join(b.TempDir(), "routed.yaml")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		routed := load(b, true, file).ByName("routed")
		for name, path := range map[string]string{
			"written": fmt.Sprintf("/api/v1/area%d/item_4711/parts", n-1),
			"folded":  fmt.Sprintf("/api/v1/area%d/ITEM_4711/parts", n-1),
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var vars profile.Vars
					if route, ok := routed.Match("GET", path, &vars); !ok || route == nil {
						b.Fatal("no route")
					}
				}
			})
		}
	}
}
