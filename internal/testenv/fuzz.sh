#!/usr/bin/env bash
# Runs each fuzz target of the module for the given number of executions (40000x), or
# for a time (5m). The default is a number because with a time the coordinator of Go
# 1.26 now and then takes its own deadline for a failure: "context deadline exceeded",
# and no input is written (https://go.dev/issue/75804, mended in Go 1.27). A target that
# hangs on an input is ended after ten minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
go=${GO:-go}
budget=${1:-40000x}

packages=$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u)
mkdir -p .run
for package in $packages; do
	listed=$($go test -list '^Fuzz' "$package") # a package that does not compile ends the script here
	for target in $(grep '^Fuzz' <<<"$listed"); do
		echo "fuzz $package $target $budget"
		timeout 10m $go test -run '^$' -fuzz "^$target\$" -fuzztime "$budget" "$package" >.run/fuzz.log 2>&1 || {
			cat .run/fuzz.log
			exit 1
		}
	done
done
