// Artanis: prompts of a project (TypeScript in the document; here without its "!").
const res = await fetch(process.env.ARTANIS_URL + "/api/prompts?projectSlug=my-project", {
  headers: {
    "x-api-key": process.env.ARTANIS_API_KEY,
    "x-org-slug": "my-org",
  },
});
console.log(JSON.stringify(await res.json()));
