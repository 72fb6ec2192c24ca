# Base images of the Dockerfile and of nats: the official ones where they can be pulled, else made from this machine.

images() {
  local official
  official=(node:22-bookworm-slim nats:2.12-alpine)
  if are_there "${official[@]}" || pull "${official[@]}"; then return; fi
  say 'images can neither be pulled nor made from this machine'
  ./base-image.sh node millrace-ci/node:local
  ./base-image.sh nats millrace-ci/nats:local
  echo 'NODE_IMAGE=millrace-ci/node:local'
  echo 'NATS_IMAGE=millrace-ci/nats:local'
}

are_there() { docker image inspect "$@" >/dev/null 2>&1; }

# The smaller one tells within seconds whether the registry can be reached at all.
pull() { timeout 30 docker pull -q "$2" >/dev/null 2>&1 && timeout 120 docker pull -q "$1" >/dev/null 2>&1; }
