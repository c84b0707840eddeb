// Authenta: list jobs.
const res = await fetch(process.env.AUTHENTA_URL + '/api/v1/jobs', {
  headers: {
    'Authorization': `Bearer ${process.env.AUTHENTA_API_KEY}`,
  },
});
const body = await res.json();
console.log(JSON.stringify(body));
