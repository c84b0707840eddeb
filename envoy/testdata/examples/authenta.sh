# Authenta: list jobs.
curl -X GET "$AUTHENTA_URL/api/v1/jobs" \
-H "Authorization: Bearer $AUTHENTA_API_KEY"
