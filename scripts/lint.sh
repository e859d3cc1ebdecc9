#!/bin/sh
# Every static check, each of them to its end; the last line counts them. Needs what scripts/setup.sh --lint provides.
cd "$(dirname "$0")/.." || exit 1
PATH="$PWD/node_modules/.bin:$PATH"
passed=0
failed=0

check() {
  name=$1
  shift
  printf 'lint: %s\n' "$name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'lint: %s FAILED\n' "$name" >&2
  fi
}

cpp_files() { find binding test/core \( -name '*.cpp' -o -name '*.h' \) | sort; }
format_cpp() { cpp_files | xargs clang-format-19 --dry-run -Werror; }
# The core and the binding; headers are checked through the files that include them. Of what clang-tidy says besides its
# findings, the count of warnings that it suppressed is left out.
tidy_cpp() {
  messages=$(mktemp)
  status=0
  find binding -name '*.cpp' | sort | xargs -n 1 -P "$(getconf _NPROCESSORS_ONLN)" clang-tidy-19 --quiet -p build 2>"$messages" || status=$?
  grep -vE '^[0-9]+ warnings? (and [0-9]+ errors? )?generated\.$' "$messages" >&2
  rm -f "$messages"
  return "$status"
}

check 'biome (format and lint)' biome check --error-on-warnings .
check 'tsc (types of sources, tests, examples and benchmarks)' tsc --project tsconfig.json
check 'dependency-cruiser (arrows)' depcruise --config .dependency-cruiser.cjs lib test examples bench
check 'typedoc (every export documented)' typedoc --emit none
check 'options (TSDoc and guide follow from their tables)' node scripts/generate-options.mjs --check
check 'clang-format' format_cpp
check 'clang-tidy' tidy_cpp

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
