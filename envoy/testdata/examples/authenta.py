# Authenta: list jobs.
import json
import os

import requests

API_KEY = os.environ["AUTHENTA_API_KEY"]
headers = {
    "Authorization": f"Bearer {API_KEY}"
}
response = requests.get(os.environ["AUTHENTA_URL"] + "/api/v1/jobs", headers=headers)
print(json.dumps(response.json()))
