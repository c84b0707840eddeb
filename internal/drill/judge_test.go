package drill_test

import (
	"testing"
	"time"
)

func TestTheDrillsKnowAWrongAnswer(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	active := func() *key { return &key{id: "key_1"} }
	revoked := func() *key { // asked for at 10, in force at 20 but on the replica "late", until 30
		return &key{id: "key_2", revoking: at(10), refused: at(20), pending: map[string]time.Time{"late": at(30)}}
	}
	stranger := func() *key { return &key{} }
	for _, c := range []struct {
		says   string
		key    *key
		from   int // the seconds when the request began; it takes one
		by     string
		status int
		reason string
		want   verdict
	}{
		{"an active key is allowed", active(), 0, "a", 200, "allowed", right},
		{"an active key is called unknown", active(), 0, "a", 401, "invalid_credential", wrong},
		{"an active key is called revoked", active(), 0, "a", 401, "revoked", wrong},
		{"an active key is forbidden", active(), 0, "a", 403, "forbidden", wrong},
		{"a key is allowed while its revocation is under way", revoked(), 15, "a", 200, "allowed", right},
		{"a key is refused while its revocation is under way", revoked(), 15, "a", 401, "revoked", right},
		{"a key is refused before anybody asked for it", revoked(), 5, "a", 401, "revoked", wrong},
		{"a revoked key is refused", revoked(), 21, "a", 401, "revoked", right},
		{"a revoked key is allowed", revoked(), 21, "a", 200, "allowed", wrong},
		{"a revoked key is called unknown", revoked(), 21, "a", 401, "invalid_credential", wrong},
		{"a replica that was named allows it until the end of its lease", revoked(), 29, "late", 200, "allowed", right},
		{"a replica that was named allows it after the end of its lease", revoked(), 31, "late", 200, "allowed", wrong},
		{"an unknown key is refused", stranger(), 0, "a", 401, "invalid_credential", right},
		{"an unknown key is allowed", stranger(), 0, "a", 200, "allowed", wrong},
		{"the store is away", active(), 0, "a", 503, "unavailable", unavailable},
		{"the store is too slow", active(), 0, "a", 503, "overloaded", unavailable},
		{"a 401 because the store is too slow", active(), 0, "a", 401, "overloaded", wrong},
		{"a 401 because the store is away", active(), 0, "a", 401, "unavailable", wrong},
		{"nobody answers", active(), 0, "a", 0, "", unanswered},
	} {
		a := answer{began: at(c.from), ended: at(c.from + 1), id: c.by, status: c.status, reason: c.reason}
		if got := c.key.judge(a); got != c.want {
			t.Errorf("%s: judged %d, want %d", c.says, got, c.want)
		}
	}
}
