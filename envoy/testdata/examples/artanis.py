# Artanis: prompts of a project.
import json
import os

import requests

response = requests.get(
    os.environ["ARTANIS_URL"] + "/api/prompts",
    params={"projectSlug": "my-project"},
    headers={
        "x-api-key": os.environ["ARTANIS_API_KEY"],
        "x-org-slug": "my-org",
    },
)
print(json.dumps(response.json()))
