package wire

import (
	"encoding/json"
	"strings"
	"time"
	"unique"

	"postern/authz/identity"
)

// packedKey is a key as the caches keep it. A million of them are cached, and most
// of what they say is said by many: that is kept once. The digest is the cache's key.
type packedKey struct {
	shared   unique.Handle[sharedFacts]
	names    string // the key's id, then the user's
	expires  int64  // Unix nanoseconds; 0: never
	revoked  int64  // likewise; 0: not revoked
	revision identity.Revision
	idLength uint32
	disabled bool
}

// sharedFacts are what the keys of one service have in common.
type sharedFacts struct {
	org         identity.OrgID
	profile     identity.ProfileName
	environment identity.Environment
	grants      identity.Grants
}

// pack copies what is kept, so that nothing else of the record stays in memory.
func pack(k *identity.Key) packedKey {
	return packedKey{
		shared: unique.Make(sharedFacts{k.Org, k.Profile, k.Environment, k.Grants}),
		names:  strings.Clone(string(k.ID) + string(k.User)), idLength: uint32(len(k.ID)),
		expires: nanos(k.ExpiresAt), revoked: nanos(k.RevokedAt), revision: k.Revision, disabled: k.Disabled,
	}
}

// unpack is the key of the digest.
func (p *packedKey) unpack(digest identity.Digest) identity.Key {
	shared := p.shared.Value()
	return identity.Key{
		ID: p.id(), Org: shared.org, User: identity.UserID(p.names[p.idLength:]), Profile: shared.profile, Environment: shared.environment, Grants: shared.grants,
		Digest: digest, ExpiresAt: moment(p.expires), RevokedAt: moment(p.revoked), Disabled: p.disabled, Revision: p.revision,
	}
}

func (p *packedKey) id() identity.KeyID { return identity.KeyID(p.names[:p.idLength]) }

// nanos is exact from 1678 to 2262; what is outside is as good as its end.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(time.Unix(0, 1)):
		return 1
	case t.After(time.Unix(1<<33, 0)):
		return time.Unix(1<<33, 0).UnixNano()
	}
	return t.UnixNano()
}

func moment(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// MarshalJSON writes the key, for the shared cache. Whoever reads it knows the digest.
func (p packedKey) MarshalJSON() ([]byte, error) { return json.Marshal(p.unpack(identity.Digest{})) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *packedKey) UnmarshalJSON(text []byte) error {
	var k identity.Key
	if err := json.Unmarshal(text, &k); err != nil {
		return err
	}
	*p = pack(&k)
	return nil
}
