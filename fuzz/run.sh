#!/bin/sh
# Fuzzes each target for LANNER_FUZZ_SECS seconds (600): no panic, no input that takes over a second,
# no more than 1 GiB. Inputs that break this are left in fuzz/artifacts; a corpus grows in fuzz/corpus.
# Needs a nightly toolchain and `cargo install cargo-fuzz`.
set -eu
cd "$(dirname "$0")"
seconds=${LANNER_FUZZ_SECS:-600}
targets=${*:-rule_text event_json timelines tuning}
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzzing needs \`rustup toolchain install nightly\` and \`cargo install cargo-fuzz\`" >&2
    exit 1
fi
for target in rule_text event_json timelines tuning; do
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
cargo +nightly fuzz build --fuzz-dir . --sanitizer none
for target in $targets; do
    echo "== $target: $seconds s"
    cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" -- \
        -max_total_time="$seconds" -timeout=1 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 -verbosity=0
done
