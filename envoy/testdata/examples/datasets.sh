# Datasets: the document shows the request itself.
curl "$DATASETS_URL/api/v1/companies/$DATASETS_COMPANY_ID/datasets/" \
  -H "Authorization: Bearer $DATASETS_TOKEN"
