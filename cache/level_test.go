package cache

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/cache/memory"
)

// levelBench is a level over a cache in memory, whose writes are made at once.
type levelBench[V any] struct {
	*Level[string, V]
	memory *memory.Cache
	clock  *clock
	events []Event
}

func newLevel[V any](t *testing.T) *levelBench[V] {
	t.Helper()
	c := newClock()
	shared, err := memory.New(100, c.now)
	if err != nil {
		t.Fatal(err)
	}
	b := &levelBench[V]{memory: shared, clock: c}
	b.Level = &Level[string, V]{
		Shared: shared, Writes: NewWrites(1, 10, time.Second), Prefix: "store:", Secret: []byte("the store's own secret"),
		KeyText: func(key string) string { return key }, Subjects: func(string, V) []Subject { return nil },
		History: NewHistory(100, 0), TTL: 10 * time.Second, Timeout: time.Second, Clock: c.now,
		Seen: func(e Event) { b.events = append(b.events, e) },
	}
	return b
}

// share writes a value as the loader of it does.
func (b *levelBench[V]) share(t *testing.T, key string, value V) {
	t.Helper()
	b.put(key, Entry[V]{Value: value, AsOf: 5, LoadedAt: b.clock.now()})
	b.drain(t)
}

func (b *levelBench[V]) drain(t *testing.T) {
	t.Helper()
	for len(b.Writes.queue) > 0 {
		b.Writes.do(t.Context(), <-b.Writes.queue)
	}
}

// bytesOf is what the shared cache holds.
func (b *levelBench[V]) bytesOf(t *testing.T, key string) []byte {
	t.Helper()
	value, found, err := b.memory.Get(t.Context(), key)
	if err != nil || !found {
		t.Fatalf("%s: found %v, %v", key, found, err)
	}
	return value
}

// overwrite is somebody with access to the shared cache.
func (b *levelBench[V]) overwrite(t *testing.T, key string, value []byte) {
	t.Helper()
	if err := b.memory.PutIfNewer(t.Context(), key, 1000, value, time.Minute); err != nil {
		t.Fatal(err)
	}
}

func (b *levelBench[V]) expectHit(t *testing.T, key string, want V) {
	t.Helper()
	b.events = nil
	if e, ok := b.get(t.Context(), key, b.clock.now()); !ok || !reflect.DeepEqual(e.Value, want) || !slices.Equal(b.events, []Event{SharedHit}) {
		t.Errorf("%s: %+v, %v, %v", key, e.Value, ok, b.events)
	}
}

func (b *levelBench[V]) expectMiss(t *testing.T, key string, why Event) {
	t.Helper()
	b.events = nil
	if e, ok := b.get(t.Context(), key, b.clock.now()); ok || !slices.Equal(b.events, []Event{why}) {
		t.Errorf("%s: %+v, %v, %v; want a miss and %s", key, e.Value, ok, b.events, why)
	}
}

func TestAReplicaOfTheSameStoreBelievesWhatAnotherShared(t *testing.T) {
	b := newLevel[string](t)
	b.expectMiss(t, "k", SharedMiss)
	b.share(t, "k", "v")
	b.expectHit(t, "k", "v")
	b.expectMiss(t, "other", SharedMiss)
}

func TestWhatNoReplicaOfThisStoreWroteIsAMissAndCounted(t *testing.T) {
	for what, forge := range map[string]func(t *testing.T, b *levelBench[string]){
		"a changed byte of the value": func(t *testing.T, b *levelBench[string]) {
			b.overwrite(t, "store:k", bytes.Replace(b.bytesOf(t, "store:k"), []byte(`"v"`), []byte(`"w"`), 1))
		},
		"another revision in the value": func(t *testing.T, b *levelBench[string]) {
			b.overwrite(t, "store:k", bytes.Replace(b.bytesOf(t, "store:k"), []byte(`"r":5`), []byte(`"r":9`), 1))
		},
		"a later time in the value": func(t *testing.T, b *levelBench[string]) {
			b.overwrite(t, "store:k", bytes.Replace(b.bytesOf(t, "store:k"), []byte(`"t":1`), []byte(`"t":2`), 1))
		},
		"a value that goes on": func(t *testing.T, b *levelBench[string]) {
			b.overwrite(t, "store:k", append(b.bytesOf(t, "store:k"), ' '))
		},
		"a value cut short": func(t *testing.T, b *levelBench[string]) {
			whole := b.bytesOf(t, "store:k")
			b.overwrite(t, "store:k", whole[:len(whole)-1])
		},
		"the value of another store": func(t *testing.T, b *levelBench[string]) {
			other := newLevel[string](t)
			other.Secret = []byte("another store's secret")
			other.share(t, "k", "v")
			b.overwrite(t, "store:k", other.bytesOf(t, "store:k"))
		},
		"the value of another key": func(t *testing.T, b *levelBench[string]) {
			b.share(t, "better", "v")
			b.overwrite(t, "store:k", b.bytesOf(t, "store:better"))
		},
		"the value of another kind of record": func(t *testing.T, b *levelBench[string]) {
			other := newLevel[string](t)
			other.Prefix = "store:other:"
			other.share(t, "k", "v")
			b.overwrite(t, "store:k", other.bytesOf(t, "store:other:k"))
		},
		"another version": func(t *testing.T, b *levelBench[string]) {
			value := b.bytesOf(t, "store:k")
			value[0] = wireVersion + 1
			b.overwrite(t, "store:k", value)
		},
		"another version, authentic": func(t *testing.T, b *levelBench[string]) {
			plain := []byte(`{"r":5,"t":0,"v":"v"}`)
			b.overwrite(t, "store:k", append(append([]byte{wireVersion + 1}, b.tag("store:k", plain)...), plain...))
		},
		"nothing at all":    func(t *testing.T, b *levelBench[string]) { b.overwrite(t, "store:k", nil) },
		"the version alone": func(t *testing.T, b *levelBench[string]) { b.overwrite(t, "store:k", []byte{wireVersion}) },
		"a tag of zeros": func(t *testing.T, b *levelBench[string]) {
			b.overwrite(t, "store:k", append([]byte{wireVersion}, make([]byte, 64)...))
		},
		"the value in plain": func(t *testing.T, b *levelBench[string]) { b.overwrite(t, "store:k", []byte(`{"r":5,"t":0,"v":"v"}`)) },
		"authentic nonsense": func(t *testing.T, b *levelBench[string]) { b.overwrite(t, "store:k", b.seal("store:k", []byte("{"))) },
		"an authentic other type": func(t *testing.T, b *levelBench[string]) {
			b.overwrite(t, "store:k", b.seal("store:k", []byte(`{"r":5,"t":0,"v":7}`)))
		},
	} {
		t.Run(what, func(t *testing.T) {
			b := newLevel[string](t)
			b.share(t, "k", "v")
			b.expectHit(t, "k", "v")
			before := b.bytesOf(t, "store:k")
			forge(t, b)
			if bytes.Equal(before, b.bytesOf(t, "store:k")) {
				t.Fatal("nothing was forged")
			}
			b.expectMiss(t, "k", SharedForeign)
		})
	}
}

func TestATombstoneIsAMissThatASlowFillDoesNotOverwrite(t *testing.T) {
	b := newLevel[string](t)
	b.share(t, "k", "v")
	b.Bury("k", 6)
	b.drain(t)
	b.expectMiss(t, "k", SharedMiss)
	b.share(t, "k", "v") // as of 5
	b.expectMiss(t, "k", SharedMiss)
}

func TestAValueOlderThanAChangeOfItsSubjectIsNotBelieved(t *testing.T) {
	b := newLevel[string](t)
	b.Subjects = func(string, string) []Subject { return []Subject{UserSubject("u"), KeySubject("k")} }
	b.share(t, "k", "v")
	b.History.Note(identity.Change{Revision: 6, Kind: identity.ChangeKey, Key: "another"})
	b.expectHit(t, "k", "v")
	b.History.Note(identity.Change{Revision: 7, Kind: identity.ChangeUser, User: "u"})
	b.expectMiss(t, "k", SharedStale)
}

func TestAValueIsBelievedForItsLifeByWhateverClock(t *testing.T) {
	for what, c := range map[string]struct {
		ahead time.Duration // of the loader's clock
		hit   bool
	}{
		"a loader in the past":        {-9 * time.Second, true},
		"a loader too far in it":      {-10 * time.Second, false},
		"a loader in the future":      {10 * time.Second, true},
		"a loader too far in that":    {10*time.Second + time.Millisecond, false},
		"a loader of the last decade": {-87600 * time.Hour, false},
	} {
		t.Run(what, func(t *testing.T) {
			b := newLevel[string](t)
			b.put("k", Entry[string]{Value: "v", AsOf: 5, LoadedAt: b.clock.now().Add(c.ahead)})
			b.drain(t)
			if c.hit {
				b.expectHit(t, "k", "v")
			} else {
				b.expectMiss(t, "k", SharedStale)
			}
		})
	}
}

func TestASharedCacheThatIsLeftAloneIsAMissAndTakesNoWrite(t *testing.T) {
	b := newLevel[string](t)
	w := newWard(t)
	w.open(t)
	b.Shared = w.Breaker
	b.expectMiss(t, "k", SharedError)
	b.events = nil
	b.share(t, "k", "v")
	if !slices.Equal(b.events, []Event{SharedDropped}) {
		t.Errorf("a write: %v", b.events)
	}
}

func TestASharedCacheThatHangsIsGivenUpAtTheTimeout(t *testing.T) {
	b := newLevel[string](t)
	w := newWard(t)
	w.patient.set(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	b.Shared, b.Timeout = w.Breaker, 20*time.Millisecond
	begin := time.Now()
	b.expectMiss(t, "k", SharedError)
	if took := time.Since(begin); took < b.Timeout || took > time.Second {
		t.Errorf("given up after %v", took)
	}
}

// TestEveryFieldOfARecordSurvivesSharing fills every field there is, so that one
// which is added and not carried fails here.
func TestEveryFieldOfARecordSurvivesSharing(t *testing.T) {
	survives[identity.Key](t)
	survives[identity.Organization](t)
	survives[identity.User](t)
	survives[identity.Membership](t)
	survives[identity.Token](t)
	survives[identity.Resource](t)
}

func survives[V any](t *testing.T) {
	full, empty := new(V), new(V)
	fill(t, reflect.ValueOf(full).Elem(), reflect.TypeFor[V]().Name())
	for name, record := range map[string]*V{"full": full, "empty": empty} {
		t.Run(reflect.TypeFor[V]().Name()+" "+name, func(t *testing.T) {
			b := newLevel[*V](t)
			b.share(t, "k", record)
			e, ok := b.get(t.Context(), "k", b.clock.now())
			if !ok {
				t.Fatalf("not shared: %v", b.events)
			}
			// In JSON a set without members is a list without members, which says the same.
			if have, want := fmt.Sprintf("%+v", *e.Value), fmt.Sprintf("%+v", *record); have != want {
				t.Errorf("got  %s\nwant %s", have, want)
			}
			if name == "full" && !reflect.DeepEqual(e.Value, record) {
				t.Errorf("got  %#v\nwant %#v", e.Value, record)
			}
		})
	}
}

// fill gives a value and all within it something that says where it belongs.
func fill(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch value := v.Addr().Interface().(type) {
	case *identity.Grants:
		*value = identity.NewGrants(path, "write", "délété,<&>")
		return
	case *time.Time:
		*value = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), fmt.Sprint(path, i))
		}
	case reflect.String:
		v.SetString(path + ` <é> "\` + "\x01")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64:
		v.SetUint(1<<64 - 1)
	case reflect.Uint8:
		v.SetUint(uint64(len(path)) + uint64(strings.Count(path, "1"))*50)
	default:
		t.Fatalf("%s is a %s: say how to fill it", path, v.Type())
	}
}
