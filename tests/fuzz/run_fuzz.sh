#!/usr/bin/env bash
# Fuzzes one reader: run_fuzz.sh READER [SECONDS] [libFuzzer options], READER being the X of tests/fuzz/fuzz_X.cpp.
# Needs clang and a project that ./valbench setup has set up. New inputs go to build-fuzz/corpus/READER, crashes to
# build-fuzz/crashes/READER. `run_fuzz.sh READER merge` takes over into tests/fuzz/corpus/READER what those inputs reach
# beyond it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
reader=${1:?which reader? See tests/fuzz/fuzz_*.cpp}
time=${2:-600}
shift $(($# < 2 ? $# : 2))

if [[ ! -f build-fuzz/build.ninja ]]; then
  libtorch=$(meson introspect build --buildoptions | python3 -c 'import json, sys
print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "libtorch"))')
  checks="'-fsanitize=fuzzer-no-link,float-cast-overflow', '-fno-sanitize-recover=all', '-D_GLIBCXX_ASSERTIONS'"
  CXX=${CXX:-clang++} meson setup build-fuzz -Dfuzz=true -Dlibtorch="$libtorch" -Doptimization=1 -Dwerror=false \
    -Db_sanitize=address,undefined -Db_lundef=false -Dcpp_args="[$checks]"
fi
ninja -C build-fuzz "tests/fuzz/fuzz_$reader"

found=build-fuzz/corpus/$reader crashes=build-fuzz/crashes/$reader kept=tests/fuzz/corpus/$reader
mkdir -p "$found" "$crashes" "$kept"
# An image may claim any size: what takes more than 256 MiB in one piece gets no memory, which a reader must report as
# any other error. LibTorch is built without the sanitizers, so vectors that it has touched look overrun: that check is
# off.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=256:detect_container_overflow=0
program=(build-fuzz/tests/fuzz/"fuzz_$reader" -rss_limit_mb=2048 -malloc_limit_mb=8192 -timeout=10)
if [[ $time == merge ]]; then
  # One input for each edge, not for each number of times that it is passed.
  exec "${program[@]}" -merge=1 -use_counters=0 "$@" "$kept" "$found"
fi
exec "${program[@]}" -max_total_time="$time" -max_len=4096 -print_final_stats=1 -artifact_prefix="$crashes/" "$@" "$found" "$kept"
