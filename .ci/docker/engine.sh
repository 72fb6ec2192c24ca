# An engine: the one that answers, else one of our own with its own data, which needs root.

say() { echo "› $*" >&2; }

engine() {
  docker info >/dev/null 2>&1 && return
  if [[ $(id -u) != 0 ]]; then
    say 'no engine answers, and to start one takes root'
    return 1
  fi
  command -v dockerd >/dev/null || install_engine
  # Where services start when they are installed, this one runs now.
  docker info >/dev/null 2>&1 || start_engine
}

install_engine() {
  if ! command -v apt-get >/dev/null; then
    say 'no engine is installed, and only apt-get is known here to install one with'
    return 1
  fi
  say 'the engine could not be installed with apt-get'
  apt-get update -qq >&2
  local packages=(docker.io iptables)
  # In newer releases the command is a package of its own.
  [[ -n $(apt-cache search --names-only '^docker-cli$') ]] && packages+=(docker-cli)
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

start_engine() {
  say 'dockerd could not be started'
  export DOCKER_HOST=unix://$CI_DOCKER_ROOM/docker.sock
  setsid dockerd --data-root "$CI_DOCKER_DIR/data" --exec-root "$CI_DOCKER_ROOM/exec" --host "$DOCKER_HOST" \
    --pidfile "$CI_DOCKER_ROOM/dockerd.pid" >"$CI_DOCKER_ROOM/dockerd.log" 2>&1 </dev/null &
  local dockerd=$!
  until docker info >/dev/null 2>&1; do
    if ! kill -0 "$dockerd" 2>/dev/null; then
      say "dockerd ended: $(grep -v level=info "$CI_DOCKER_ROOM/dockerd.log" | tail -n 1 | cut -c 1-200)"
      return 1
    fi
    sleep 0.5
  done
  echo "DOCKER_HOST=$DOCKER_HOST"
  # The reaper is an image of its own; what a run leaves behind ends with this engine. Ports are reached over loopback.
  echo 'TESTCONTAINERS_RYUK_DISABLED=true'
  echo 'TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1'
}
