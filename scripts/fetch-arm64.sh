#!/bin/sh
# sh scripts/fetch-arm64.sh FOLDER: unpacks Debian's OpenBLAS for arm64 below a folder, for a cross build. apt is given
# an architecture and lists of its own: those of the machine, and what is installed, stay as they are, and no root is
# needed.
set -eu
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state/lists/partial" "$state/archives/partial"
: >"$state/status"

arm64_apt() {
  apt-get -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User="$(id -un)" \
    -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" "$@"
}
arm64_apt update
cd "$state"
arm64_apt download libopenblas-pthread-dev
dpkg-deb --extract libopenblas-pthread-dev_*_arm64.deb "$folder"
