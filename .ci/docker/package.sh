#!/usr/bin/env bash
# package.sh DIRECTORY NAME [newer]: fetches a package with apt-get and unpacks it into DIRECTORY; nothing is installed. With
# `newer` it is the package of a newer Debian, whose lists go into a directory of our own.
set -euo pipefail
goal=$1 name=$2 newer=${CI_NEWER_DEBIAN:-trixie}
lists=$CI_DOCKER_DIR/apt-$newer

fetch() { # further options of apt-get
  rm -rf "$goal" && mkdir -p "$goal"
  (cd "$goal" && apt-get download -qq "$@" "$name" 2>/dev/null)
  dpkg-deb -x "$goal"/*.deb "$goal"
  rm -f "$goal"/*.deb
}

of_newer() {
  echo "-o Dir::Etc::sourcelist=$lists/sources -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$lists/lists" \
    "-o Dir::Cache=$lists/cache -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"
}

list_newer() {
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [[ -f $keys ]] || return 1
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
  echo "deb [signed-by=$keys] http://deb.debian.org/debian $newer main" >"$lists/sources"
  # shellcheck disable=SC2046 # options, none of which holds a space
  apt-get update -qq $(of_newer)
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null
if [[ ${3:-} != newer ]]; then
  fetch
else
  [[ -f $lists/done ]] || { list_newer && touch "$lists/done"; } >&2
  # shellcheck disable=SC2046
  fetch $(of_newer)
fi
