// Arthur Engine: use a key.
const response = await fetch(process.env.ARTHUR_ENGINE_URL + "/api/v2/tasks", {
  headers: { "Authorization": `Bearer ${process.env.ARTHUR_API_KEY}` },
});
console.log(JSON.stringify(await response.json()));
