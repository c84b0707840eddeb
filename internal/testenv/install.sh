#!/usr/bin/env bash
# Installs what the tests talk with and a machine may lack: curl, Node.js, PostgreSQL,
# Redis, h2load and taskset from the system's packages (as root, on Debian), Python's requests into
# .run/python.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
command -v curl >/dev/null || missing+=(curl)
command -v node >/dev/null || missing+=(nodejs)
command -v python3 >/dev/null || missing+=(python3 python3-venv)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v h2load >/dev/null || missing+=(nghttp2-client)
command -v taskset >/dev/null || missing+=(util-linux)
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "the tests need ${missing[*]}: install them and run this again" >&2
		exit 1
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# One folder for Python's packages, whole or not there: PYTHONPATH=.run/python
requests=2.32.5
if [ ! -e ".run/python/requests-$requests.dist-info" ]; then
	mkdir -p .run
	work=$(mktemp -d .run/python-XXXXXX)
	trap 'rm -rf "$work"' EXIT
	if python3 -m venv "$work/venv" >/dev/null 2>&1; then
		pip="$work/venv/bin/pip"
	else # Debian ships a Python without ensurepip
		pip="python3 -m pip"
	fi
	$pip install --quiet --disable-pip-version-check --target "$work/site" "requests==$requests"
	rm -rf .run/python
	mv "$work/site" .run/python
fi
