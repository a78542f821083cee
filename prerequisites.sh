#!/usr/bin/env bash
# Checks what pip cannot install. As root, installs missing Debian packages; else prints the line to type.
set -euo pipefail

fail() { printf '%s\n' "$*" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "open-cwm runs on Linux (the sandbox is bubblewrap); this is $(uname -s)."
"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "Python 3.11 or newer is needed; ${PYTHON:-python3} is $("${PYTHON:-python3}" --version). Try: make run PYTHON=python3.12"

declare -A package=([git]=git [gcc]=gcc [bwrap]=bubblewrap)
[ -z "${WITH_BROWSER:-}" ] || { package[chromium]=chromium; package[chromedriver]=chromium-driver; }
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] && exit 0

line="apt-get update && apt-get install -y ${missing[*]}"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
else
  fail "Missing: ${missing[*]}. Type this once, then the same make command again:
  sudo sh -c '$line'"
fi
