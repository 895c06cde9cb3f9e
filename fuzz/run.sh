#!/bin/sh
# Fuzzes each target for LANNER_FUZZ_SECS seconds (600): no panic, no input that takes longer than the
# target may, no more than 1 GiB. Inputs that break this are left in fuzz/artifacts; a corpus grows in
# fuzz/corpus. `fuzz/run.sh formats pickles` fuzzes only these.
# Needs a nightly toolchain and `cargo install cargo-fuzz`; `make peers` for the files that `formats` begins with.
set -eu
cd "$(dirname "$0")"
seconds=${LANNER_FUZZ_SECS:-600}
all="rule_text event_json timelines tuning formats pickles archives messages"
targets=${*:-$all}
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzzing needs \`rustup toolchain install nightly\` and \`cargo install cargo-fuzz\`" >&2
    exit 1
fi
for target in $all; do
    mkdir -p "corpus/$target" "artifacts/$target"
done
# What the tests have to read is where to begin.
number=0
for file in ../detections/*/*.yml ../tests/cases/detect/*.yml ../tests/cases/detect/*/*.yml; do
    number=$((number + 1))
    head -c 6000 "$file" >"corpus/rule_text/begin-$number"
done
while IFS= read -r line; do
    number=$((number + 1))
    printf '%s' "$line" >"corpus/event_json/begin-$number"
done <events.jsonl
case " $targets " in *" formats "*)
    files=$(mktemp -d)
    python=${LANNER_PEERS:-../.peers}/venv/bin/python
    PYTHONPATH=../tests "$python" ../tests/peers/benign.py "$files/benign"
    "$python" seeds.py "$files" corpus/formats
    rm -r "$files"
    ;;
esac
cargo +nightly fuzz build --fuzz-dir . --sanitizer none
for target in $targets; do
    # Inflating all that one file may inflate takes a second by itself.
    case $target in
    formats | archives) limits="-timeout=5 -max_len=65536" ;;
    pickles | messages) limits="-timeout=1 -max_len=16384" ;;
    *) limits="-timeout=1 -max_len=8192" ;;
    esac
    echo "== $target: $seconds s"
    # shellcheck disable=SC2086 # several options
    cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" -- \
        -max_total_time="$seconds" $limits -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0
done
