# Compose v2, as a plugin of the docker command: the one that is there, else a package of this release, of a newer one, or
# built with Go. It goes into a configuration directory of our own.

plugin() {
  docker compose version >/dev/null 2>&1 && return
  export DOCKER_CONFIG=$CI_DOCKER_DIR/config
  local file=$DOCKER_CONFIG/cli-plugins/docker-compose
  mkdir -p "$DOCKER_CONFIG/cli-plugins"
  if ! "$file" version >/dev/null 2>&1; then
    say 'compose v2 is in no package that is known here, and could not be built'
    plugin_from_packages "$file" || plugin_from_go "$file"
  fi
  docker compose version >/dev/null
  echo "DOCKER_CONFIG=$DOCKER_CONFIG"
}

plugin_from_packages() {
  local package unpacked=$CI_DOCKER_DIR/unpacked/compose
  for package in docker-compose-v2 docker-compose-plugin docker-compose 'docker-compose newer'; do
    # shellcheck disable=SC2086 # a name, and where to look for it
    ./package.sh "$unpacked" $package || continue
    cp "$(find "$unpacked" -path '*cli-plugins/docker-compose' -type f | head -n 1)" "$1" 2>/dev/null &&
      "$1" version >/dev/null 2>&1 && return
  done
  return 1
}

# Takes minutes; what was built is kept.
plugin_from_go() {
  command -v go >/dev/null || return 1
  local module=$CI_DOCKER_DIR/compose-module
  rm -rf "$module" && mkdir -p "$module"
  (
    cd "$module"
    go mod init compose-build
    go get github.com/docker/compose/v2/cmd@latest
    CGO_ENABLED=0 go build -o "$1" github.com/docker/compose/v2/cmd
  ) >/dev/null 2>&1
}
