// Artos: list templates, as in a browser; then documents, as in Node.
const token = process.env.ARTOS_TOKEN;

await fetch(process.env.ARTOS_URL + "/api/v1/templates/", {
  method: "GET",
  headers: {
    "Authorization": `Bearer ${token}`,
    "Content-Type": "application/json"
  }
})
  .then(response => response.json())
  .then(data => console.log(JSON.stringify(data)));

const response = await fetch(
  process.env.ARTOS_URL + "/api/v1/documents/",
  {
    headers: { "Authorization": `Bearer ${token}` }
  }
);
console.log(JSON.stringify(await response.json()));
