# Datasets: the document's request.
import json
import os

import requests

url = f"{os.environ['DATASETS_URL']}/api/v1/companies/{os.environ['DATASETS_COMPANY_ID']}/datasets/"
response = requests.get(url, headers={"Authorization": f"Bearer {os.environ['DATASETS_TOKEN']}"})
print(json.dumps(response.json()))
