#!/usr/bin/env bash
# Makes a Docker engine, compose v2 and base images be there, and writes DOCKER_READY_FILE when it is done: the variables that
# tests need, or DOCKER_UNAVAILABLE with the reason. It never fails: without Docker, the tests that want it are skipped.
set -uo pipefail
cd "$(dirname "$0")"
secondsMax=${CI_DOCKER_SECONDS_MAX:-240}
room=$CI_DOCKER_ROOM

mkdir -p "$CI_DOCKER_DIR"
timeout --kill-after=5 "$secondsMax" ./prepare.sh >"$room/variables" 2>"$room/said"
code=$?
case $code in
  0) cp "$room/variables" "$room/ready.new" && echo "› docker: ready after $SECONDS s" >&2 ;;
  124) reason="it took longer than $secondsMax s" ;;
  *) reason=$(grep '^› ' "$room/said" | tail -n 1 | cut -c 3-) ;;
esac
if [[ $code != 0 ]]; then
  echo "DOCKER_UNAVAILABLE=$reason" >"$room/ready.new"
  echo "› docker: not there, so tests that want it are skipped: $reason" >&2
fi
mv "$room/ready.new" "$DOCKER_READY_FILE"

# The image that tests of the compose files build first: what they ask for is there then, or under way.
if [[ $code == 0 ]]; then
  set -a
  # shellcheck disable=SC1091 # written above
  source "$room/variables"
  cd ../..
  MILLRACE_IMAGE=millrace:test timeout 600 docker compose build shard >"$room/build.log" 2>&1
fi
