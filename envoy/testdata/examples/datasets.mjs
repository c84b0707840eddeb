// Datasets: the document's request.
const { DATASETS_URL, DATASETS_COMPANY_ID, DATASETS_TOKEN } = process.env;
const response = await fetch(`${DATASETS_URL}/api/v1/companies/${DATASETS_COMPANY_ID}/datasets/`, {
  headers: { Authorization: `Bearer ${DATASETS_TOKEN}` },
});
console.log(JSON.stringify(await response.json()));
