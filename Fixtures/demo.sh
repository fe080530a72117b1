#!/usr/bin/env bash
# Plans, compresses and verifies the digits network in a temporary folder, and prints every command that it runs.
set -euo pipefail
kcompress=$(realpath "$1")
fixtures=$(realpath "$(dirname "$0")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$fixtures"/digits.h5 "$fixtures"/digits.reference.npz "$folder"
cd "$folder"

run() {
  printf '\n$ kcompress %s\n' "$*"
  "$kcompress" "$@"
}

run inspect digits.h5
run plan digits.h5 --budget 120kB
run apply digits.plan.json
run verify digits.compressed.h5 --reference digits.reference.npz
printf '\n'
ls -l digits.h5 digits.compressed.h5 digits.report.html | awk '{print $5, $9}'
