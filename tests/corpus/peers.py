"""Scores other scanners over manifests. Usage: peers.py PEER RESULTS.json FOLDER...

A file is scored in a process of its own: 60 seconds, 6 GiB of address space; what ends otherwise than it should
counts as a crash. modelaudit, which takes seconds to start, gets one process for each fifty files (and 120 seconds
a file). Each peer is used by its Python interface on one file at a time, which is its best case. High is what it
calls critical, high, dangerous or overtly malicious; any adds warnings, medium, low and suspicious. What a peer
could not look at is no finding.
"""

import json
import os
import pathlib
import resource
import signal
import sys
import time
import zipfile

os.environ.update(PROMPTFOO_DISABLE_TELEMETRY="1", NO_ANALYTICS="1", DO_NOT_TRACK="1", HF_HUB_OFFLINE="1")
NOTHING, ANY, HIGH, CRASH = 0, 1, 2, 3


def picklescan():
    from picklescan import scanner

    def look(path):
        result = scanner.scan_file_path(path)
        levels = {each.safety for each in result.globals}
        if result.issues_count or scanner.SafetyLevel.Dangerous in levels:
            return HIGH
        return ANY if scanner.SafetyLevel.Suspicious in levels else NOTHING

    return look


def modelscan():
    from modelscan.modelscan import ModelScan

    def look(path):
        severities = {each["severity"] for each in ModelScan().scan(path)["issues"]}
        return HIGH if severities & {"CRITICAL", "HIGH"} else ANY if severities else NOTHING

    return look


def fickling():
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import EmptyPickleError, PickleDecodeError, StackedPickle

    def worst(file):
        try:
            pickles = StackedPickle.load(file, fail_on_decode_error=False)
        except (EmptyPickleError, PickleDecodeError):
            return Severity.LIKELY_SAFE  # it says that this is no pickle
        return max((check_safety(each).severity for each in pickles), key=lambda found: found.severity)

    def look(path):
        found = []
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith((".pkl", ".pickle", ".bin")):
                        found.append(worst(archive.read(name)))
        else:
            with open(path, "rb") as file:
                found.append(worst(file))
        levels = [each.severity for each in found]
        level = max(levels, default=0)
        return HIGH if level >= Severity.LIKELY_OVERTLY_MALICIOUS.severity else ANY if level else NOTHING

    return look


def hayward():
    from hayward import ModelFileScanner, is_coverage_gap

    def look(path):
        found = [each for each in ModelFileScanner().scan_file(pathlib.Path(path)) if not is_coverage_gap(each)]
        severities = {each.severity.value.lower() for each in found}
        return HIGH if severities & {"critical", "high"} else ANY if severities & {"medium", "low"} else NOTHING

    return look


def modelaudit():
    from modelaudit.core import scan_model_directory_or_file

    def look(path):
        result = scan_model_directory_or_file(path, timeout=120, cache_enabled=False)
        severities = {str(getattr(each.severity, "value", each.severity)).lower() for each in result.issues}
        return HIGH if "critical" in severities else ANY if "warning" in severities else NOTHING

    return look


PEERS = {each.__name__: each for each in (picklescan, modelscan, fickling, hayward, modelaudit)}


def quiet():
    """What peers print or log is not wanted."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for each in (1, 2):
        os.dup2(nowhere, each)


def child(look, paths, out, seconds):
    """Scores `paths` and writes a line for each; a process of its own."""
    quiet()
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    for path in paths:
        signal.alarm(seconds)
        try:
            verdict = look(path)
        except Exception:  # noqa: BLE001 - whatever a peer raises is its crash; out of memory, too
            verdict = CRASH
        os.write(out, b"%d\n" % verdict)
    os._exit(0)


def score(name, paths):
    """Verdicts for `paths`, seconds of processor, and the highest resident set in MiB."""
    look = PEERS[name]()
    batch, seconds = (50, 120) if name == "modelaudit" else (1, 60)
    verdicts, cpu, peak = [], 0.0, 0
    waiting = list(paths)
    while waiting:
        part = waiting[:batch]
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            child(look, part, writer, seconds)
        os.close(writer)
        with os.fdopen(reader, "rb") as answers:
            lines = answers.read().split()
        _, status, used = os.wait4(pid, 0)
        cpu += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss >> 10)
        verdicts += [int(each) for each in lines]
        if len(lines) < len(part) and status:
            verdicts.append(CRASH)
            waiting = waiting[len(lines) + 1:]
        else:
            waiting = waiting[len(part):]
    return verdicts, cpu, peak


def main():
    name, results, *folders = sys.argv[1:]
    rows = []
    for folder in map(pathlib.Path, folders):
        for line in (folder / "manifest.jsonl").read_text().splitlines():
            row = json.loads(line)
            rows.append((str(folder / row["path"]), row))
    began = time.monotonic()
    verdicts, cpu, peak = score(name, [path for path, _ in rows])
    files = {path: verdict for (path, _), verdict in zip(rows, verdicts, strict=True)}
    report = {"peer": name, "cpu_seconds": round(cpu, 1), "wall_seconds": round(time.monotonic() - began, 1), "peak_mib": peak, "files": files}
    pathlib.Path(results).write_text(json.dumps(report, indent=0))


if __name__ == "__main__":
    main()
