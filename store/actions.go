package store

// The actions of audit events; every engine writes the same ones. The comment
// says what the event's Subject is and which Detail it carries, if any.
const (
	ActionOrganizationCreate  = "organization.create"  // the organization; slug
	ActionOrganizationDisable = "organization.disable" // the organization
	ActionOrganizationEnable  = "organization.enable"  // the organization

	ActionUserCreate       = "user.create"        // the user; issuer
	ActionUserDisable      = "user.disable"       // the user
	ActionUserEnable       = "user.enable"        // the user
	ActionUserRevokeTokens = "user.revoke_tokens" //nolint:gosec // the user; tokens: how many minted ones
	ActionMembershipPut    = "membership.put"     // the user; grants
	ActionMembershipDelete = "membership.delete"  // the user

	ActionKeyCreate  = "key.create"  // the key; profile, name
	ActionKeyRevoke  = "key.revoke"  // the key
	ActionKeyDisable = "key.disable" // the key
	ActionKeyEnable  = "key.enable"  // the key
	ActionKeyRotate  = "key.rotate"  // the original; successor

	ActionTokenCreate = "token.create" // the token; profile, user
	ActionTokenRevoke = "token.revoke" // the token; issuer of a foreign one

	ActionResourceCreate = "resource.create" // the resource; kind, slug
	ActionResourceDelete = "resource.delete" // the resource; kind

	ActionAccountTopUp      = "account.top_up"        // the organization; amount, note
	ActionAccountPayAsYouGo = "account.pay_as_you_go" // the organization; on: true or false
	ActionSigningKeyCreate  = "signing_key.create"    // the signing key; algorithm, profile
)
