#!/bin/sh
# sh scripts/openblas.sh FOLDER: builds OpenBLAS as a static library below a folder, for systems whose package manager
# has none that fits: threads and no OpenMP, LAPACK without Fortran, kernels for every processor of the architecture.
# The sources are those of a release, whose sum is known.
set -eu
folder=$1
version=0.3.30
sum=27342cff518646afb4c2b976d809102e368957974c250a25ccc965e53063c95d
[ ! -f "$folder/lib/libopenblas.a" ] || exit 0
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
curl --fail --silent --show-error --location --output sources.tar.gz \
  "https://github.com/OpenMathLib/OpenBLAS/releases/download/v$version/OpenBLAS-$version.tar.gz"
if command -v sha256sum >/dev/null; then
  echo "$sum  sources.tar.gz" | sha256sum -c -
else
  echo "$sum  sources.tar.gz" | shasum -a 256 -c -
fi
tar -xzf sources.tar.gz
cd "OpenBLAS-$version"
case $(uname -m) in
  arm64 | aarch64) target=ARMV8 ;;
  *) target=PRESCOTT ;; # what is common to all kernels
esac
# the same words for both: the second call would build another flavour otherwise
build() {
  make "$@" TARGET="$target" DYNAMIC_ARCH=1 USE_THREAD=1 USE_OPENMP=0 NUM_THREADS=64 NO_AFFINITY=1 NOFORTRAN=1 \
    NO_SHARED=1 NO_LAPACKE=1 PREFIX="$folder"
}
build -j"$(getconf _NPROCESSORS_ONLN)" libs netlib
build install
