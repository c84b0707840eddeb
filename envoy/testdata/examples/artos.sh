# Artos: list templates; then the one path that needs no token.
curl -X GET "$ARTOS_URL/api/v1/templates/" \
  -H "Authorization: Bearer $ARTOS_TOKEN" \
  -H "Content-Type: application/json"

# No Authorization header needed
curl -X GET "$ARTOS_URL/api/v1/search/status"

# Use environment variable
curl -X GET "$ARTOS_URL/api/v1/templates/" \
  -H "Authorization: Bearer $ARTOS_TOKEN"
