# Artanis: prompts of a project.
curl $ARTANIS_URL/api/prompts?projectSlug=my-project \
  -H "x-api-key: $ARTANIS_API_KEY" \
  -H "x-org-slug: my-org"
