package envoy_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"postern/authz/credential"
	"postern/internal/demo/issuer"
	adminv1 "postern/proto/postern/admin/v1"
)

// readVariables reads demo.env as a shell would.
func readVariables(state string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(state, "demo.env"))
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found {
			return nil, fmt.Errorf("demo.env: %q is no assignment", line)
		}
		values[name] = strings.Trim(value, "'")
	}
	return values, nil
}

// craft adds the credentials that documents speak of and demo.env has none for.
func (s *system) craft(ctx context.Context) error {
	began := time.Now()
	made := map[string]string{}
	for _, make := range []func(context.Context, map[string]string) error{
		s.craftShortLived, s.craftTokens, s.craftForgeries, s.craftKeys, s.craftPairs, s.craftSessions, s.craftPlatform,
	} {
		if err := make(ctx, made); err != nil {
			return fmt.Errorf("make the credentials of the tests: %w", err)
		}
	}
	for name, value := range made {
		if strings.Contains(name, "TOKEN") || strings.Contains(name, "KEY") || strings.Contains(name, "SESSION") {
			s.secrets.add(value)
		}
	}
	maps.Copy(s.variables, made)
	time.Sleep(1100*time.Millisecond - time.Since(began)) // the short-lived ones are over now
	return nil
}

func (s *system) craftShortLived(ctx context.Context, made map[string]string) error {
	for name, request := range map[string]*adminv1.CreateKeyRequest{
		"ARTANIS_EXPIRED_KEY":  {Profile: "artanis", OrganizationId: "org_my", Permissions: []string{"read"}},
		"AUTHENTA_EXPIRED_KEY": {Profile: "authenta", OrganizationId: "org_media", Permissions: []string{"READ"}},
		"ENGINE_EXPIRED_KEY":   {Profile: "arthur-engine", OrganizationId: "org_default", Permissions: []string{"VALIDATION-USER"}},
	} {
		request.Name, request.Expiration = "test", &adminv1.CreateKeyRequest_Ttl{Ttl: durationpb.New(time.Second)}
		created, err := s.directory().keys.CreateKey(ctx, request)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		made[name] = created.GetSecret()
	}
	return nil
}

// craftTokens issues tokens whose user may not, or no longer, do everything.
func (s *system) craftTokens(ctx context.Context, made map[string]string) (err error) {
	d := s.directory()
	if _, made["ARTOS_READ_TOKEN"], err = d.token(ctx, "artos", "org_my", "user_ada", "read"); err != nil {
		return err
	}
	for _, user := range []string{"user_left", "user_off"} {
		if err := d.member(ctx, "org_my", &adminv1.CreateUserRequest{Id: user}, "read"); err != nil {
			return err
		}
		if err := d.member(ctx, "company_acme", &adminv1.CreateUserRequest{Id: user + "_of_acme"}, "read"); err != nil {
			return err
		}
	}
	for name, of := range map[string][3]string{
		"ARTOS_LEFT_TOKEN":    {"artos", "org_my", "user_left"},
		"ARTOS_OFF_TOKEN":     {"artos", "org_my", "user_off"},
		"DATASETS_LEFT_TOKEN": {"datasets", "company_acme", "user_left_of_acme"},
	} {
		if _, made[name], err = d.token(ctx, of[0], of[1], of[2]); err != nil {
			return err
		}
	}
	id, revoked, err := d.token(ctx, "datasets", "company_acme", "user_ada")
	if err != nil {
		return err
	}
	made["DATASETS_REVOKED_TOKEN"] = revoked
	_, err1 := d.tokens.RevokeToken(ctx, &adminv1.RevokeTokenRequest{Id: id})
	_, err2 := d.users.DeleteMembership(ctx, &adminv1.DeleteMembershipRequest{OrganizationId: "org_my", UserId: "user_left"})
	_, err3 := d.users.DeleteMembership(ctx, &adminv1.DeleteMembershipRequest{OrganizationId: "company_acme", UserId: "user_left_of_acme"})
	_, err4 := d.users.DisableUser(ctx, &adminv1.DisableUserRequest{Id: "user_off"})
	return errors.Join(err1, err2, err3, err4)
}

// craftKeys makes opaque keys, and some that only look like ones.
func (s *system) craftKeys(ctx context.Context, made map[string]string) (err error) {
	d := s.directory()
	for name, of := range map[string][]string{
		"ARTANIS_OTHER_KEY":       {"artanis", "org_other", "read"},
		"ARTANIS_DISABLED_KEY":    {"artanis", "org_disabled", "read"},
		"AUTHENTA_NOTHING_KEY":    {"authenta", "org_empty", "READ"},
		"AUTHENTA_NO_DELETE_KEY":  {"authenta", "org_media", "READ", "WRITE"},
		"AUTHENTA_WRITE_ONLY_KEY": {"authenta", "org_media", "WRITE"},
	} {
		if _, made[name], err = d.key(ctx, of[0], of[1], of[2:]...); err != nil {
			return err
		}
	}
	id, revoked, err := d.key(ctx, "artanis", "org_my", "read")
	if err != nil {
		return err
	}
	made["ARTANIS_REVOKED_KEY"] = revoked
	if _, err := d.keys.RevokeKey(ctx, &adminv1.RevokeKeyRequest{Id: id}); err != nil {
		return err
	}
	for name, format := range map[string]credential.Format{
		"ARTANIS_UNKNOWN_KEY":  {Prefix: "sk_", Hash: credential.SHA256},
		"AUTHENTA_UNKNOWN_KEY": {Prefix: "api_", Checksum: true, Hash: credential.SHA256},
		"ENGINE_UNKNOWN_KEY":   {Layout: credential.Pair, Hash: credential.Bcrypt},
	} {
		minted, err := format.Mint(rand.Reader)
		if err != nil {
			return err
		}
		made[name] = minted.Raw.Reveal()
	}
	made["AUTHENTA_TYPO_KEY"] = exchangeAt(s.variables["AUTHENTA_API_KEY"], 10)
	return nil
}

// craftPairs takes the key of arthur-engine apart.
func (s *system) craftPairs(ctx context.Context, made map[string]string) (err error) {
	key := s.variables["ARTHUR_API_KEY"]
	pair, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return err
	}
	id, secret, _ := strings.Cut(string(pair), ":")
	made["ENGINE_BARE_SECRET_KEY"] = secret
	made["ENGINE_WRONG_SECRET_KEY"] = base64.StdEncoding.EncodeToString([]byte(id + ":" + exchangeAt(secret, 5)))
	made["ENGINE_UPPER_ID_KEY"] = base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(id) + ":" + secret))
	made["ENGINE_UNPADDED_KEY"] = strings.TrimRight(key, "=")
	made["ENGINE_PADDED_KEY"] = key + "="
	made["ENGINE_LOOSE_BITS_KEY"] = looseBits(key)
	_, made["ENGINE_AUDITOR_KEY"], err = s.directory().key(ctx, "arthur-engine", "org_default", "ORG-AUDITOR")
	return err
}

// looseBits is another spelling of the same bytes: the last character before the
// padding carries bits that decoders ignore (RFC 4648 § 3.5).
func looseBits(key string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	end := len(strings.TrimRight(key, "="))
	last := strings.IndexByte(alphabet, key[end-1])
	return key[:end-1] + string(alphabet[last^1]) + key[end:]
}

// exchangeAt puts another letter or digit at the place.
func exchangeAt(text string, place int) string {
	other := byte('A')
	if text[place] == other {
		other = 'B'
	}
	return text[:place] + string(other) + text[place+1:]
}

// identityProvider is the demo's stand-in, with its key, under the name.
func (s *system) identityProvider(file, name string) (*issuer.Issuer, error) {
	dir, err := os.MkdirTemp(s.state, "provider-")
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(s.state, file+".pem"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, file+".pem"), pem, 0o600); err != nil {
		return nil, err
	}
	return issuer.Open(dir, file, name)
}
