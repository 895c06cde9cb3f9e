#!/usr/bin/env bash
# Installs what the tests need beside Rust: real servers and real libraries. What is installed
# already is used again; a change of this script or of requirements.txt installs anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers="${LANNER_PEERS:-$PWD/.peers}"

packages=(
  prometheus              # the real scraper, for metrics and the shipped alerting rule; with promtool
  prometheus-alertmanager # the real receiver of alerts
  buildah                 # builds the image without a daemon
  docker-registry         # the real registry of images
  skopeo                  # the real client of registries
  git-lfs                 # the real keeper of large files, with Git itself
  aide                    # another checker of files, for a benchmark
  nginx-light             # a web server, for the index of models that one serves
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "the tests need ${missing[*]}: install them as root with apt-get, then run again" >&2; exit 1; }
    as_root=(sudo)
  fi
  echo "installing ${missing[*]} with apt-get: servers that the end-to-end tests start on 127.0.0.1"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

mkdir -p "$peers"
wanted=$(cat tests/peers/setup.sh tests/peers/requirements.txt tests/peers/package.json | sha256sum | cut -d' ' -f1)
if [ "$(cat "$peers/installed" 2>/dev/null)" != "$wanted" ]; then
  echo "installing MLflow and ML libraries into $peers/venv: the registry under test, and the makers of benign files (about 2.2 GB)"
  python3 -m venv "$peers/venv"
  "$peers/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/peers/requirements.txt
  command -v npm >/dev/null || { echo "the tests need npm for Azurite, the stand-in of Azure that Azure makes: install Node.js, then run again" >&2; exit 1; }
  echo "installing Azurite into $peers/npm (about 380 MB)"
  mkdir -p "$peers/npm"
  cp tests/peers/package.json "$peers/npm/package.json"
  npm install --prefix "$peers/npm" --no-audit --no-fund --silent
  echo "$wanted" > "$peers/installed"
fi
echo "test peers are ready in $peers"
