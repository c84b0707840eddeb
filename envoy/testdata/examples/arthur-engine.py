# Arthur Engine: use a key.
import json
import os

import requests

headers = {"Authorization": f"Bearer {os.environ['ARTHUR_API_KEY']}"}
print(json.dumps(requests.get(os.environ["ARTHUR_ENGINE_URL"] + "/api/v2/tasks", headers=headers).json()))
