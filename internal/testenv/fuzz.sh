#!/usr/bin/env bash
# Runs each fuzz target of the module for the given time (3s).
set -euo pipefail
cd "$(dirname "$0")/../.."
go=${GO:-go}
time=${1:-3s}

packages=$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u)
mkdir -p .run
for package in $packages; do
	listed=$($go test -list '^Fuzz' "$package") # a package that does not compile ends the script here
	for target in $(grep '^Fuzz' <<<"$listed"); do
		echo "fuzz $package $target $time"
		$go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" >.run/fuzz.log 2>&1 || {
			cat .run/fuzz.log
			exit 1
		}
	done
done
