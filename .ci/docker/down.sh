#!/usr/bin/env bash
# Ends what up.sh started, at whatever point it is.
set -uo pipefail
room=$CI_DOCKER_ROOM

[[ -f $room/ready || ! -f $room/prepare.group ]] || kill -- "-$(cat "$room/prepare.group")" 2>/dev/null
if [[ -f $room/dockerd.pid ]]; then
  pid=$(cat "$room/dockerd.pid")
  kill "$pid" 2>/dev/null
  for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
fi
rm -rf "$room"
