#!/usr/bin/env bash
# base-image.sh node|nats TAG: an image of programs of this machine with the libraries that they load. It stands in for
# node:22-bookworm-slim (Node, npm, a shell, what the Dockerfile calls) or for nats:2.12-alpine.
set -euo pipefail
cd "$(dirname "$0")"
kind=$1 tag=$2
root=$CI_DOCKER_DIR/root-$kind
programs=(sh bash env cat chmod chown cp find grep head id ln ls mkdir mv rm rmdir sed sleep tail touch awk)

lay_out() {
  rm -rf "$root"
  mkdir -p "$root"/{etc/ssl/certs,proc,sys,dev,root,tmp,usr/{bin,sbin,lib,lib64,local/bin,local/lib/node_modules}}
  chmod 1777 "$root/tmp"
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  # Whom this machine trusts, so that npm works in a build where traffic is looked into.
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true
}

add() { # FILE [PLACE]: a program, and every library that the loader would find for it
  install -D "$(realpath "$1")" "$root${2:-/usr/bin/$(basename "$1")}"
  { ldd "$1" 2>/dev/null || true; } | grep -oE '/[^ ]+' | while read -r library; do
    [[ -e $root$library ]] || install -D "$(realpath "$library")" "$root$library"
  done
}

add_node() {
  add "$(node -p process.execPath)" /usr/local/bin/node
  cp -r "$(npm root -g)/npm" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
}

# `sync_interval: always` and its like are known from 2.10 on.
is_new_enough() { [[ -x $1 ]] && "$1" --version | grep -qE 'v(2\.[1-9][0-9]|[3-9])\.'; }

add_nats() {
  local place=$CI_DOCKER_DIR/unpacked/nats file
  file=$(command -v nats-server || true)
  is_new_enough "$file" || file=$place/usr/sbin/nats-server
  is_new_enough "$file" || ./package.sh "$place" nats-server || true
  is_new_enough "$file" || ./package.sh "$place" nats-server newer || true
  if ! is_new_enough "$file" && command -v go >/dev/null; then
    file=$place/nats-server
    GOBIN=$place CGO_ENABLED=0 go install github.com/nats-io/nats-server/v2@v2.12.1 >/dev/null 2>&1 || true
  fi
  is_new_enough "$file" || { echo '› nats-server 2.10 or newer is neither here nor in a package' >&2; return 1; }
  add "$file"
}

docker image inspect "$tag" >/dev/null 2>&1 && exit
lay_out
for program in "${programs[@]}"; do add "$(command -v "$program")"; done
changes=(--change 'ENV PATH=/usr/local/bin:/usr/bin:/bin')
if [[ $kind == node ]]; then
  add_node
  changes+=(--change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["node"]')
else
  add_nats
  changes+=(--change 'ENTRYPOINT ["nats-server"]' --change 'EXPOSE 4222 6222 8222')
fi
tar -C "$root" -c . | docker import "${changes[@]}" - "$tag" >/dev/null
rm -rf "$root"
