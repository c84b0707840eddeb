package ctl

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// expiration is the two flags that say when something ends.
type expiration struct{ ttl, expires string }

func (e *expiration) flags(c *cobra.Command) {
	c.Flags().StringVar(&e.ttl, "ttl", "", "how long it lives, such as 90d, 12h or 30m")
	c.Flags().StringVar(&e.expires, "expires", "", "when it ends, such as 2030-01-31T12:00:00Z")
}

// parse returns at most one of the two.
func (e *expiration) parse() (*timestamppb.Timestamp, *durationpb.Duration, error) {
	switch {
	case e.ttl != "" && e.expires != "":
		return nil, nil, usage("--ttl and --expires are both given; use one of them")
	case e.ttl != "":
		life, err := parseDuration("ttl", e.ttl)
		if err != nil {
			return nil, nil, err
		}
		return nil, durationpb.New(life), nil
	case e.expires != "":
		at, err := time.Parse(time.RFC3339, e.expires)
		if err != nil {
			return nil, nil, usage("--expires: %q is not a moment; use the form 2030-01-31T12:00:00Z", e.expires)
		}
		return timestamppb.New(at), nil, nil
	}
	return nil, nil, nil
}

// parseDuration reads what time.ParseDuration reads, and whole days.
func parseDuration(flag, text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, usage("--%s: %q is not a duration; use such as 90d, 12h or 30m", flag, text)
	}
	return d, nil
}
