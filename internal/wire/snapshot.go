package wire

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"postern/admin"
	"postern/authz"
	"postern/authz/admission"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/token"
	"postern/internal/config"
	"postern/store"
)

// jwksTimeout bounds one fetch of an issuer's keys.
const jwksTimeout = 2 * time.Second

// snapshots makes what decisions are made under, and owns the key sets in it.
type snapshots struct {
	config  config.Config
	env     func(string) (string, bool)
	clock   func() time.Time
	ring    *token.KeyRing
	closers []io.Closer
	// verifications bounds those of all profiles together.
	verifications *admission.Limiter
}

// make builds the snapshot of a set of profiles.
func (s *snapshots) make(set *profile.Set) (*authz.Snapshot, error) {
	snapshot := &authz.Snapshot{
		Profiles: set, Default: s.config.Profiles.Default,
		Tokens: map[identity.ProfileName]authz.Tokens{}, AdminKeys: map[identity.ProfileName]identity.Digest{},
	}
	if name := s.config.Profiles.Default; name != "" && set.ByName(name) == nil {
		return nil, fmt.Errorf("profiles.default: there is no profile %q; name one of %v", name, set.Names())
	}
	foreign := map[identity.Issuer]token.Keys{}
	for _, name := range set.Names() {
		p := set.ByName(name)
		if err := s.adminKey(snapshot, p); err != nil {
			return nil, err
		}
		if len(p.Issuers) == 0 {
			continue
		}
		if err := s.foreignKeys(p, foreign); err != nil {
			return nil, err
		}
		verifier, err := token.NewVerifier(p, s.config.Issuer, s.ring, foreign, token.Options{
			CacheSize: s.config.Cache.Size, CacheTTL: s.config.Cache.TTL, Clock: s.clock,
			Limiter: s.verifications,
		})
		if err != nil {
			return nil, err
		}
		snapshot.Tokens[name] = verifier
	}
	return snapshot, nil
}

// minAdminKey is the least length of a profile's administrator key.
const minAdminKey = 16

func (s *snapshots) adminKey(snapshot *authz.Snapshot, p *profile.Profile) error {
	if p.AdminKeyEnv == "" {
		return nil
	}
	key, ok := s.env(p.AdminKeyEnv)
	if !ok || key == "" {
		return nil // the profile then has no administrator key
	}
	if len(key) < minAdminKey {
		return fmt.Errorf("%s: the administrator key of profile %q is shorter than %d characters; use a longer one, such as from: openssl rand -hex 32",
			p.AdminKeyEnv, p.Name, minAdminKey)
	}
	snapshot.AdminKeys[p.Name] = identity.DigestOf(key)
	return nil
}

// foreignKeys opens the key set of every issuer but Postern's own, one per issuer.
func (s *snapshots) foreignKeys(p *profile.Profile, known map[identity.Issuer]token.Keys) error {
	for i := range p.Issuers {
		issuer := &p.Issuers[i]
		if issuer.Own || known[issuer.Name] != nil {
			continue
		}
		if issuer.JWKSFile != "" {
			keys, err := token.NewJWKSFile(issuer.JWKSFile, s.clock)
			if err != nil {
				return fmt.Errorf("profile %q: issuer %q: %w", p.Name, issuer.Name, err)
			}
			known[issuer.Name] = keys
			continue
		}
		keys, err := token.NewJWKSURL(issuer.JWKSURL, &http.Client{Timeout: jwksTimeout}, s.clock)
		if err != nil {
			return fmt.Errorf("profile %q: issuer %q: %w", p.Name, issuer.Name, err)
		}
		s.closers = append(s.closers, keys)
		known[issuer.Name] = keys
	}
	return nil
}

func (s *snapshots) close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// sharedAlgorithms may sign for every profile with one key; a symmetric secret is
// made for each profile alone.
var sharedAlgorithms = []string{token.EdDSA, token.RS256, token.ES256}

// ensureSigningKeys makes the keys that the profiles' own issuers lack and loads
// them all into the ring.
func ensureSigningKeys(ctx context.Context, keys store.SigningKeys, set *profile.Set, ring *token.KeyRing, clock func() time.Time) error {
	have, err := keys.ListSigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("listing signing keys: %w", err)
	}
	for _, name := range set.Names() {
		p := set.ByName(name)
		for i := range p.Issuers {
			if !p.Issuers[i].Own {
				continue
			}
			algorithm, owner := p.Issuers[i].Algorithms[0], name
			if slices.Contains(sharedAlgorithms, algorithm) {
				owner = ""
			}
			if slices.ContainsFunc(have, func(k identity.SigningKey) bool {
				return k.Algorithm == algorithm && (k.Profile == owner || k.Profile == name) && k.RetiredAt.IsZero()
			}) {
				continue
			}
			key, err := token.GenerateSigningKey(owner, algorithm, rand.Reader, clock())
			if err != nil {
				return err
			}
			if key, err = keys.CreateSigningKey(ctx, "system", key); err != nil {
				return fmt.Errorf("keeping a signing key for profile %q: %w", name, err)
			}
			have = append(have, key)
		}
	}
	return ring.Replace(have)
}

// signer signs tokens for the management API.
type signer struct {
	ring   *token.KeyRing
	issuer identity.Issuer
}

// SignToken signs under the profile's rule for Postern's own issuer.
func (s signer) SignToken(_ context.Context, spec admin.TokenSpec) (identity.Secret, error) {
	for i := range spec.Profile.Issuers {
		if rule := &spec.Profile.Issuers[i]; rule.Own {
			return token.Mint(s.ring, rule, s.issuer, token.MintRequest{
				Profile: spec.Profile.Name, ID: spec.ID, Subject: spec.Subject, Org: spec.Org, OrgSlug: spec.OrgSlug,
				Grants: spec.Grants, Environment: spec.Environment, IssuedAt: spec.IssuedAt, ExpiresAt: spec.ExpiresAt,
			})
		}
	}
	return identity.Secret{}, fmt.Errorf("profile %q has no issuer of Postern's own", spec.Profile.Name)
}
