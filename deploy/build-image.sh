#!/usr/bin/env bash
# Builds a static binary and the image around it, without a daemon and without the network.
#   deploy/build-image.sh [--binary FILE] [--root DIR]   `--root`: where buildah keeps its storage
set -euo pipefail
cd "$(dirname "$0")/.."
binary="" root="${BUILDAH_ROOT:-}"
while [ $# -gt 0 ]; do
  case "$1" in
    --binary) binary="$2"; shift 2 ;;
    --root) root="$2"; shift 2 ;;
    *) echo "usage: $0 [--binary FILE] [--root DIR]" >&2; exit 2 ;;
  esac
done
if [ -z "$binary" ]; then
  target=$(rustc -vV | sed -n 's/^host: //p')
  RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin lanner --target "$target"
  binary="target/$target/release/lanner"
fi
if ldd "$binary" >/dev/null 2>&1 && ! ldd "$binary" 2>&1 | grep -q 'statically linked'; then
  echo "$binary is linked dynamically: an image from scratch could not run it" >&2
  exit 1
fi
mkdir -p deploy/image/state
trap 'rm -rf deploy/image' EXIT
cp "$binary" deploy/image/lanner
cp /etc/ssl/certs/ca-certificates.crt deploy/image/ca-certificates.crt
storage=()
[ -n "$root" ] && storage=(--root "$root/root" --runroot "$root/run")
buildah "${storage[@]}" --storage-driver vfs bud --isolation chroot --timestamp 0 --tag lanner:0.1.0 .
