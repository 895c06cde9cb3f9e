#!/bin/sh
# Fuzzes each target for LANNER_FUZZ_SECS seconds (600): no panic, no input that takes longer than the
# target may, no more than 1 GiB. Inputs that break this are left in fuzz/artifacts; a corpus grows in
# fuzz/corpus. `fuzz/run.sh formats-keras pickles` fuzzes only these: `formats-NAME` is the target `formats`,
# begun with the files of one family of families.txt and given the words of its sources; `formats` is all at once.
# LANNER_FUZZ_TIMEOUT allows an input more seconds, for machines that do something else beside.
# Needs a nightly toolchain and `cargo install cargo-fuzz`; `make peers` for the files that formats begin with, and
# begins with those of PyTorch, TensorFlow and JAX as well where `tests/corpus/setup-benign.sh` has installed them.
set -eu
cd "$(dirname "$0")"
seconds=${LANNER_FUZZ_SECS:-600}
families=$(sed -n 's/^\([a-z]*\): .*/formats-\1/p' families.txt)
targets=${*:-rule_text event_json timelines tuning pickles archives messages signatures measures $families}
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzzing needs \`rustup toolchain install nightly\` and \`cargo install cargo-fuzz\`" >&2
    exit 1
fi
for target in rule_text event_json $targets; do
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
case " $targets " in *" formats"*)
    files=$(mktemp -d)
    peers=${LANNER_PEERS:-../.peers}
    export PYTHONPATH=../tests PYTHONDONTWRITEBYTECODE=1
    "$peers/venv/bin/python" ../tests/peers/benign.py "$files/written" >/dev/null
    "$peers/venv/bin/python" ../tests/corpus/make.py "$files/malicious" >/dev/null
    "$peers/venv/bin/python" ../tests/corpus/benign.py "$files/light" light >/dev/null 2>&1
    heavy=${LANNER_HEAVY:-$peers/heavy}/bin/python
    if [ -x "$heavy" ]; then
        "$heavy" ../tests/corpus/benign.py "$files/heavy" heavy >/dev/null 2>&1
    fi
    "$peers/venv/bin/python" seeds.py corpus "$files"
    rm -r "$files"
    ;;
esac
case " $targets " in *" signatures "*)
    files=$(mktemp -d)
    "${LANNER_PEERS:-../.peers}/venv/bin/python" signatures.py "$files" corpus/signatures
    rm -r "$files"
    ;;
esac
for target in $targets; do
    cargo +nightly fuzz build --fuzz-dir . --sanitizer none "${target%%-*}"
done
broken=
for target in $targets; do
    # Inflating all that one file may inflate takes a second by itself.
    case $target in
    formats* | archives) seconds_each=5 longest=65536 ;;
    pickles | messages | signatures | measures) seconds_each=1 longest=16384 ;;
    *) seconds_each=1 longest=8192 ;;
    esac
    words=
    case $target in formats-*) words="-dict=corpus/${target#formats-}.dict" ;; esac
    echo "== $target: $seconds s"
    # What breaks one target does not keep the others from being fuzzed.
    # shellcheck disable=SC2086 # perhaps no option
    cargo +nightly fuzz run --fuzz-dir . --sanitizer none "${target%%-*}" "corpus/$target" -- $words \
        -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" \
        -timeout="${LANNER_FUZZ_TIMEOUT:-$seconds_each}" -max_len="$longest" -rss_limit_mb=1024 \
        -print_final_stats=1 -verbosity=0 || broken="$broken $target"
done
if [ -n "$broken" ]; then
    echo "inputs that break a promise are in fuzz/artifacts:$broken" >&2
    exit 1
fi
