#!/usr/bin/env bash
# Installs Debian's licensecheck, the independent opinion that `licence-agents verify` asks for. Does nothing when it is there.
set -euo pipefail

command -v licensecheck >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "licensecheck is a Debian package: install it by hand on this system" >&2; exit 1; }
as_root=()
((EUID == 0)) || as_root=(sudo)
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends licensecheck >/dev/null
}
# The list of packages may be missing or old: then it is fetched and the installation tried once more.
install 2>/dev/null || { "${as_root[@]}" apt-get update -qq && install; }
