# Artos: list templates, then documents.
import json
import os

import requests

headers = {
    "Authorization": f"Bearer {os.environ['ARTOS_TOKEN']}",
    "Content-Type": "application/json"
}

response = requests.get(
    os.environ["ARTOS_URL"] + "/api/v1/templates/",
    headers=headers
)

templates = response.json()
print(json.dumps(templates))

token = os.environ.get("ARTOS_TOKEN")
headers = {"Authorization": f"Bearer {token}"}

response = requests.get(
    os.environ["ARTOS_URL"] + "/api/v1/documents/",
    headers=headers
)
print(json.dumps(response.json()))
