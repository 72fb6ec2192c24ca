#!/usr/bin/env bash
# The steps of up.sh, in order. Prints NAME=value lines for the tests; the last line that it says is why it could not go on.
set -euo pipefail
cd "$(dirname "$0")"
source ./engine.sh
source ./plugin.sh
source ./images.sh

# The process group, so that what runs when the tests are over ends too.
cut -d ' ' -f 5 "/proc/$$/stat" >"$CI_DOCKER_ROOM/prepare.group"
engine
plugin
images
