// Arthur Platform: ask for an access token, then use one. The example upstream
// issues none, so the second request takes the demo's.
const response = await fetch(
  process.env.ARTHUR_PLATFORM_URL + "/realms/arthur/protocol/openid-connect/token",
  {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: "a-client",
      client_secret: "its-secret",
    }),
  }
);
const answer = await response.json();
console.log(JSON.stringify(answer));
const { access_token = process.env.ARTHUR_PLATFORM_TOKEN } = answer;

const apiResponse = await fetch(process.env.ARTHUR_PLATFORM_URL + "/api/v1/organizations", {
  headers: { "Authorization": `Bearer ${access_token}` },
});
console.log(JSON.stringify(await apiResponse.json()));
