"""Scores other scanners over manifests. Usage: peers.py PEER RESULTS.json FOLDER...

A file is scored in a process of its own, without network: 60 seconds, 6 GiB of address space; what ends otherwise
than it should counts as a crash, what does not end in time as no answer. modelaudit follows what a pickle imports
into the sources of installed libraries, a second or more for each file unless it has read them before: it gets one
process for each 24 files, 120 seconds a file, and two processes side by side. Each peer is used by its Python
interface on one file at a time, which is its best case. High is what it calls critical, high, dangerous or overtly
malicious; any adds warnings, medium, low and suspicious. What a peer could not look at is no finding.
"""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import resource
import select
import signal
import sys
import time
import zipfile

os.environ.update(PROMPTFOO_DISABLE_TELEMETRY="1", NO_ANALYTICS="1", DO_NOT_TRACK="1", HF_HUB_OFFLINE="1")
NOTHING, ANY, HIGH, CRASH, NO_ANSWER = 0, 1, 2, 3, 4


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


def alone():
    """No network, where the kernel lets a process have a namespace of its own."""
    new_user, new_net = 0x10000000, 0x40000000
    ctypes.CDLL(None).unshare(new_user | new_net)


def child(look, paths, out):
    """Scores `paths` and writes a digit for each; a process of its own, and the head of a group."""
    os.setsid()
    quiet()
    alone()
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    for path in paths:
        try:
            verdict = look(path)
        except Exception:  # noqa: BLE001 - whatever a peer raises is its crash; out of memory, too
            verdict = CRASH
        os.write(out, b"%d" % verdict)
    os._exit(0)


class Batch:
    """A process at work on some files."""

    def __init__(self, look, paths, seconds):
        self.paths, self.seconds, self.verdicts = paths, seconds, []
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            child(look, paths, writer)
        os.close(writer)
        self.due = time.monotonic() + seconds

    def read(self):
        """Takes what was answered; whether there may be more."""
        answers = os.read(self.reader, 4096)
        self.verdicts += [answer - ord("0") for answer in answers]
        self.due = time.monotonic() + self.seconds
        return bool(answers)

    def end(self, late):
        """Ends the process and what it started. What became of the file at which it ended is told; gives the files
        that are left, and what was used."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.reader)
        _, _, used = os.wait4(self.pid, 0)
        if len(self.verdicts) < len(self.paths):
            self.verdicts.append(NO_ANSWER if late else CRASH)
        return self.paths[len(self.verdicts):], used


def score(name, paths):
    """Verdicts by path, seconds of processor, and the highest resident set in MiB."""
    look = PEERS[name]()
    size, seconds, jobs = (24, 120, 2) if name == "modelaudit" else (1, 60, 1)
    waiting = collections.deque(paths[at:at + size] for at in range(0, len(paths), size))
    verdicts, cpu, peak, running = {}, 0.0, 0, {}
    while waiting or running:
        while waiting and len(running) < jobs:
            batch = Batch(look, waiting.popleft(), seconds)
            running[batch.reader] = batch
        ready = select.select(list(running), [], [], 1)[0]
        ended = [batch for batch in running.values() if batch.reader in ready and not batch.read()]
        late = [batch for batch in running.values() if batch not in ended and time.monotonic() > batch.due]
        for batch in ended + late:
            del running[batch.reader]
            left, used = batch.end(batch in late)
            if left:
                waiting.appendleft(left)
            verdicts.update(zip(batch.paths, batch.verdicts))
            cpu += used.ru_utime + used.ru_stime
            peak = max(peak, used.ru_maxrss >> 10)
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
    assert len(verdicts) == len(rows), f"{name}: {len(verdicts)} verdicts of {len(rows)} files"
    report = {"peer": name, "cpu_seconds": round(cpu, 1), "wall_seconds": round(time.monotonic() - began, 1), "peak_mib": peak, "files": verdicts}
    pathlib.Path(results).write_text(json.dumps(report, indent=0))


if __name__ == "__main__":
    main()
