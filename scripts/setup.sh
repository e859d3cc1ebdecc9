#!/bin/sh
# Brings a checkout on Debian 12 with Node 20 to a built state: system packages, node_modules, native addon, TypeScript.
# Does only what is missing or stale, so a second run takes a second. With --test also what the tests of the core need,
# and Open MPI and MPICH, which test/mpi runs under; with --mpi an MPI, if there is none; with --lint also the C++
# formatter and linter, with --bench also the addon of the benchmarks, with --pages the browser that test/pages opens
# pages in. With --debug or --asan also the addon without optimisation, or addon and core under AddressSanitizer and
# UndefinedBehaviorSanitizer, in a folder of its own; with --arm64 the addon of linux-arm64 and what runs it here, with
# --roots what makes bare systems. With --fuzz or --replay, instead of all that, the targets of test/fuzz alone: those
# of libFuzzer, or those that valgrind runs.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

# Runs a command quietly; when it fails, shows everything that it printed.
quietly() {
  log=$(mktemp)
  status=0
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    rm -f "$log"
    fail "failed (exit code $status): $*"
  fi
  rm -f "$log"
}

has_command() { command -v "$1" >/dev/null 2>&1; }
has_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

test=no
mpi=no
lint=no
bench=no
pages=no
debug=no
asan=no
arm64=no
roots=no
fuzz=no
replay=no
for argument in "$@"; do
  case $argument in
    --test) test=yes ;;
    --mpi) mpi=yes ;;
    --lint) lint=yes ;;
    --bench) bench=yes ;;
    --pages) pages=yes ;;
    --debug) debug=yes ;;
    --asan) asan=yes ;;
    --arm64) arm64=yes ;;
    --roots) roots=yes ;;
    --fuzz) fuzz=yes ;;
    --replay) replay=yes ;;
    *) fail "unknown argument '$argument'; usage:" \
      'sh scripts/setup.sh [--test] [--mpi] [--lint] [--bench] [--pages] [--debug] [--asan] [--arm64] [--roots]' \
      'sh scripts/setup.sh [--fuzz] [--replay]' ;;
  esac
done

# --- Node ---------------------------------------------------------------------------------------------------------
has_command node || fail 'Node.js 20 or later is needed, and there is no node on PATH.'
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
  fail "Node.js 20 or later is needed, and this is $(node --version)."
has_command npm || fail 'npm is needed, and there is no npm on PATH; it comes with Node.js.'

# --- System packages ------------------------------------------------------------------------------------------------
# The compiler, CMake, make, the static OpenBLAS that the addon links, and what the tests of the core include.
missing=''
has_command g++ || missing="$missing g++"
has_command cmake || missing="$missing cmake"
has_command make || missing="$missing make"
if [ "$lint" = yes ]; then
  has_command clang-format-19 || missing="$missing clang-format-19"
  has_command clang-tidy-19 || missing="$missing clang-tidy-19"
fi
if [ "$fuzz" = yes ]; then
  has_command clang++-19 || missing="$missing clang-19"
fi
if [ "$replay" = yes ]; then
  has_command valgrind || missing="$missing valgrind"
fi
if [ "$roots" = yes ]; then
  has_command debootstrap || missing="$missing debootstrap"
fi
if [ "$arm64" = yes ]; then
  has_command aarch64-linux-gnu-g++ || missing="$missing g++-aarch64-linux-gnu"
  has_command qemu-aarch64-static || missing="$missing qemu-user-static"
fi
if has_command dpkg-query; then
  if [ "$fuzz" = yes ]; then
    has_package libclang-rt-19-dev || missing="$missing libclang-rt-19-dev"
  fi
  if [ "$pages" = yes ]; then
    has_package chromium || missing="$missing chromium"
  fi
  has_package libopenblas-pthread-dev || missing="$missing libopenblas-pthread-dev"
  if [ "$test" = yes ] || [ "$asan" = yes ]; then
    has_package doctest-dev || missing="$missing doctest-dev"
    has_package nlohmann-json3-dev || missing="$missing nlohmann-json3-dev"
  fi
  if [ "$mpi" = yes ] && ! has_command mpirun; then missing="$missing openmpi-bin"; fi
  # Libraries come with the launchers, compilers and headers of MPI do not, and are not needed. iproute2 makes two hosts
  # of one machine.
  if [ "$test" = yes ]; then
    has_package openmpi-bin || missing="$missing openmpi-bin"
    has_package mpich || missing="$missing mpich"
    has_package iproute2 || missing="$missing iproute2"
  fi
elif [ -n "$missing" ]; then
  fail "These are needed and missing:$missing, and OpenBLAS as a static library (pthread build)." \
    'This is no Debian system; please install them by hand, then start again.'
fi

if [ -z "$missing" ]; then
  say 'system packages are present'
else
  # $missing is a list of words on purpose, here and below.
  install="apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends$missing"
  if [ "$(id -u)" -eq 0 ]; then
    as_root=''
  elif has_command sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root='sudo'
  else
    fail "System packages are missing:$missing" \
      'Installing them takes root, and this user is not root and cannot use sudo here.' \
      "Run as root, then start again:  apt-get update && apt-get install -y$missing"
  fi
  has_command apt-get ||
    fail "System packages are missing:$missing" 'There is no apt-get; please install them by hand, then start again.'
  say "installing system packages with apt:$missing"
  # shellcheck disable=SC2086
  quietly $as_root apt-get -o DPkg::Lock::Timeout=120 update
  # shellcheck disable=SC2086
  quietly $as_root env DEBIAN_FRONTEND=noninteractive $install
fi

# --- Targets of test/fuzz -------------------------------------------------------------------------------------------
# By CMake alone, which knows no Node there.
for preset in fuzz replay; do
  if { [ "$preset" = fuzz ] && [ "$fuzz" = yes ]; } || { [ "$preset" = replay ] && [ "$replay" = yes ]; }; then
    quietly cmake --preset "$preset"
    quietly cmake --build --preset "$preset"
    say "targets of test/fuzz are built (build/$preset)"
  fi
done
if [ "$fuzz" = yes ] || [ "$replay" = yes ]; then exit 0; fi

# --- node_modules ---------------------------------------------------------------------------------------------------
if node scripts/node-modules-match.mjs; then
  say 'node_modules matches package-lock.json'
else
  say 'installing node_modules (npm ci)'
  quietly npm ci --include=dev --no-audit --no-fund
fi
PATH="$PWD/node_modules/.bin:$PATH"

# --- Native addon ---------------------------------------------------------------------------------------------------
# CMake does not build in a tree that was configured elsewhere (a copied or renamed checkout): begin anew there.
if [ -f build/CMakeCache.txt ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$(pwd -P)" build/CMakeCache.txt; then
  say 'build/ was configured in another place: removing it'
  rm -rf build
fi

# configured FOLDER: whether CMake has come to its end there.
configured() { [ -f "$1/Makefile" ] || [ -f "$1/build.ninja" ]; }
# configure FOLDER OPTION…: cmake-js tells CMake where Node's headers are.
configure() {
  folder=$1
  shift
  quietly cmake-js configure --out "$folder" "$@"
}
# build FOLDER TARGET…: without cmake-js, which takes longer to start than CMake to find that nothing is to be done.
build() {
  folder=$1
  shift
  quietly cmake --build "$folder" --parallel "$(getconf _NPROCESSORS_ONLN)" --target "$@"
}

if [ ! -f build/Release/cgfac.node ]; then
  say 'building the native addon (a minute or so, the first time)'
fi
# The tests of the core are part of the build once they have been asked for.
if [ "$test" = yes ] && ! grep -qsxF 'CGFAC_BUILD_TESTS:BOOL=ON' build/CMakeCache.txt; then
  configure build --CDCGFAC_BUILD_TESTS=ON
elif ! configured build; then
  configure build --CDCGFAC_BUILD_TESTS=OFF
fi
build build cgfac
say 'native addon is built (build/Release/cgfac.node)'
if [ "$bench" = yes ]; then
  build build cgfac_bench
  say 'addon of the benchmarks is built (build/bench/cgfac_bench.node)'
fi
# Nothing is built there: it has the compile command of each source.
if [ "$lint" = yes ]; then
  grep -qsxF 'CGFAC_FUZZ:STRING=replay' build/commands/CMakeCache.txt ||
    configure build/commands --CDCGFAC_UNITY=OFF --CDCGFAC_BUILD_TESTS=ON --CDCGFAC_FUZZ=replay
fi
# The loader (node-gyp-build) looks for build/Release, then build/Debug, in the folder that CGFAC_PREBUILD names.
if [ "$debug" = yes ]; then
  configured build/debug-addon/build || configure build/debug-addon/build --debug
  build build/debug-addon/build cgfac
  say "addon for a debugger is built; programs load it with CGFAC_PREBUILD=$PWD/build/debug-addon in the environment"
fi
if [ "$asan" = yes ]; then
  configured build/asan-addon/build ||
    configure build/asan-addon/build --CDCGFAC_SANITIZE=address,undefined --CDCGFAC_BUILD_TESTS=ON
  build build/asan-addon/build cgfac
  say 'addon under sanitizers is built; npm run test:asan loads it'
fi
if [ "$arm64" = yes ]; then
  if [ ! -f out/arm64/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.a ]; then
    quietly sh scripts/fetch-arm64.sh out/arm64
  fi
  configured build/arm64 || configure build/arm64 --arch arm64 --CDCGFAC_BUILD_TESTS=OFF \
    --CDCMAKE_TOOLCHAIN_FILE="$PWD/scripts/cmake/linux-arm64.cmake"
  build build/arm64 cgfac
  say 'addon of linux-arm64 is built (build/arm64/Release/cgfac.node)'
fi

# --- TypeScript -----------------------------------------------------------------------------------------------------
quietly tsc --build tsconfig.examples.json tsconfig.bench.json tsconfig.soak.json
say 'TypeScript is compiled (dist/)'
