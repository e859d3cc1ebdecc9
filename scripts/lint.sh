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

cpp_files() { find binding test/core test/fuzz bench \( -name '*.cpp' -o -name '*.h' \) | sort; }
generated() { node scripts/generate-options.mjs --check && node scripts/generate-reports.mjs --check; }
format_cpp() { cpp_files | xargs clang-format-19 --dry-run -Werror; }

check 'biome (format and lint)' biome check --error-on-warnings .
check 'tsc (types of sources, tests, examples and benchmarks)' tsc --project tsconfig.json
check 'tsc (types of the page of reports)' tsc --project tsconfig.page.json
check 'dependency-cruiser (arrows of TypeScript)' \
  depcruise --config .dependency-cruiser.cjs lib test examples bench datasets
if [ -f scripts/check-includes.mjs ]; then
  check 'includes (arrows of C++)' node scripts/check-includes.mjs
fi
check 'lengths of lines and files' node scripts/lint/lengths.mjs
check 'lengths of functions' node scripts/lint/function-length.mjs
check 'typedoc (all that is offered is documented)' typedoc --emit none
check 'sentences of exports' node scripts/lint/export-sentences.mjs
check 'comments of C++ declarations' node scripts/lint/cpp-comments.mjs
check 'options and reports (what follows from their tables)' generated
check 'tables of comparisons (what follows from their figures)' node scripts/docs/tables.mjs --check
check 'clang-format' format_cpp
check 'clang-tidy' node scripts/lint/tidy.mjs

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
