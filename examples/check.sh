#!/bin/sh
# Runs an example and compares what it prints with the expected lines. Both are sorted first: the
# order of results of different keys is no promise.
#   check.sh <program> <expected file>
# With a third argument the program is one that writes into a folder: it is killed at that kill
# point, started again, and its committed files are compared.
#   check.sh <program> <expected file> <kill point>
set -u
export LC_ALL=C
program=$1 expected=$2 kill_point=${3-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "check.sh: $1" >&2
  cat "$folder/log" >&2
  exit 1
}

if [ -z "$kill_point" ]; then
  "$program" >"$folder/printed" 2>"$folder/log" || fail "$program failed"
else
  WEIR_KILL_AT=$kill_point "$program" "$folder" >"$folder/log" 2>&1
  [ $? -eq 137 ] || fail "$program was not killed at $kill_point"
  "$program" "$folder" >>"$folder/log" 2>&1 || fail "$program failed after the restart"
  cat "$folder"/out/part-* >"$folder/printed"
fi
sort "$expected" >"$folder/expected"
sort "$folder/printed" >"$folder/found"
diff -u "$folder/expected" "$folder/found" || fail "$program printed something else than $expected"
