# Arthur Engine: make a key with the admin key, then use one.
curl -X POST $ARTHUR_ENGINE_URL/auth/api_keys/ \
  -H "Authorization: Bearer $GENAI_ENGINE_ADMIN_KEY" \
  -H "Content-Type: application/json" \
  -d '{"description": "my key"}'

curl -X GET $ARTHUR_ENGINE_URL/api/v2/tasks \
  -H "Authorization: Bearer $ARTHUR_API_KEY"
