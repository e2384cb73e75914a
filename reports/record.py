"""One run on disk: environment.json and observations-WORKER.jsonl.gz, read line by line.

A worker that ends in order closes its file with `{"end": TIME, "observations": COUNT}`. A file
without it was cut short: what it holds counts, and what it lacks says nothing.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reports.text import counted, plain

SCHEMA = 1
CHUNK = 1 << 16  # bytes
RUNS = Path(__file__).parent / "runs"
LAW = "law/"  # begins the name of the observation that a check held
BREAKS = " — "  # in its text, between what a failure says and the law
FIELDS = ("checkpoint", "observation", "input", "group")

Key = tuple[str, str, str]


class RecordError(Exception):
    """A record that cannot be read; one line says which file, what is wrong and what to do."""


class Observation(NamedTuple):
    """One named thing a check saw; tolerance and noise are absolute, in the units of the value."""

    checkpoint: str
    observation: str
    input: str
    group: str
    value: Mapping[str, Any]
    tolerance: float | None
    noise: float | None
    law: str | None
    reproduce: str | None

    @property
    def key(self) -> Key:
        """What pairs observations of two records."""
        return self.checkpoint, self.observation, self.input


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a run happened."""

    suite: str
    started: str
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    threads: int | None
    device: str
    dtype: str
    arguments: tuple[str, ...]
    checkpoints: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Record:
    """Everything one run observed; `complete` is false when it was cut short or damaged."""

    path: Path
    environment: Environment
    observations: Mapping[Key, Observation]
    complete: bool
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The library and version this record stands for, else the directory's name."""
        version = self.environment.versions.get("transformers")
        return f"transformers {version}" if version else self.path.name


def locate(name: str, runs: Path = RUNS) -> Path:
    """The record meant by a path, by a name below reports/runs, or by a version of transformers.

    Raises RecordError when there is none, or when a version has several.
    """
    named = (Path(name), runs / name, runs / f"transformers-{name}", runs / name.replace("==", "-"))
    for path in named:
        if path.is_dir():
            return path
    found = [
        path.parent for path in sorted(runs.glob("*/environment.json")) if version_of(path) == name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise RecordError(
            f"{name}: several records: {', '.join(path.name for path in found)}; name one"
        )
    known = (
        ", ".join(sorted(path.parent.name for path in runs.glob("*/environment.json"))) or "none"
    )
    raise RecordError(
        f"{plain(name)}: no such directory and no record of that version (there are: {known})"
    )


def version_of(path: Path) -> str | None:
    """The version of transformers an environment.json names, None when it cannot be read."""
    try:
        return read_environment(path).versions.get("transformers")
    except RecordError:
        return None


def read(path: Path) -> Record:
    """Read a record, tolerating torn lines; the last of several lines with one key counts.

    Raises RecordError when the environment is unreadable, the schema is another one, or nothing was
    observed.
    """
    environment = read_environment(path / "environment.json")
    files = sorted(
        path.glob("observations-*.jsonl*"), key=lambda file: (file.stat().st_mtime, file.name)
    )
    observations: dict[Key, Observation] = {}
    notes = []
    for file in files:
        reader = Lines(file)
        observations.update((observation.key, observation) for observation in reader)
        notes += reader.notes()
    if not observations:
        raise RecordError(f"{plain(str(path))}: holds no readable observation; record it again")
    return Record(path, environment, observations, not notes, tuple(notes))


def read_environment(path: Path) -> Environment:
    """Raises RecordError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(
            f"{plain(str(path))}: missing, so this is not a record; record it again"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(
            f"{plain(str(path))}: unreadable ({type(error).__name__}); record it again"
        ) from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        schema = raw.get("schema") if isinstance(raw, dict) else None
        raise RecordError(
            f"{plain(str(path))}: schema {schema!r:.40}, this suite reads {SCHEMA}; record it again"
        )
    try:
        return environment_from(raw)
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__} {error} in the environment"
        raise RecordError(plain(f"{path}: {what}; record it again")) from error


def environment_from(raw: Mapping[str, Any]) -> Environment:
    """Raises KeyError, TypeError or AttributeError when the layout is another one."""
    return Environment(
        suite=str(raw["suite"]),
        started=str(raw["started"]),
        versions={str(name): str(version) for name, version in raw["versions"].items()},
        machine=dict(raw["machine"]),
        threads=raw.get("threads"),
        device=str(raw["device"]),
        dtype=str(raw["dtype"]),
        arguments=tuple(str(argument) for argument in raw["arguments"]),
        checkpoints={str(one["name"]): one for one in raw["checkpoints"]},
    )


class Lines:
    """The observations of one file; after iteration, notes() says what was wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ended = False
        self.bad: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[Observation]:
        for number, line in enumerate(unpacked(self.path), 1):
            try:
                raw = json.loads(line.decode("utf-8"))
                if isinstance(raw, dict) and "end" in raw:
                    self.ended = True
                    continue
                self.ended = False
                yield observation_from(raw)
            except (ValueError, RecursionError) as error:
                self.bad.append((number, str(error) or type(error).__name__))

    def notes(self) -> list[str]:
        """One line for each way in which the file is incomplete."""
        notes = []
        if self.bad:
            number, reason = self.bad[0]
            unreadable = counted(len(self.bad), "unreadable line")
            notes.append(f"{self.path.name}: {unreadable}, first {number}: {plain(reason, 100)}")
        if not self.ended:
            notes.append(f"{self.path.name}: no end line, the run was cut short")
        return notes


def unpacked(path: Path) -> Iterator[bytes]:
    """The lines of a file; of a compressed one that was cut short, all that was flushed."""
    with path.open("rb") as file:
        if path.suffix != ".gz":
            yield from file
            return
        unpacker, rest = zlib.decompressobj(16 + zlib.MAX_WBITS), b""
        while packed := file.read(CHUNK):
            try:
                *lines, rest = (rest + unpacker.decompress(packed)).split(b"\n")
            except zlib.error:
                rest += b" and damaged from here"  # no JSON, so that a note says so
                break
            yield from lines
        if rest:
            yield rest


def observation_from(raw: Any) -> Observation:
    """Raises ValueError saying which field is wrong."""
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    for field in FIELDS:
        if not isinstance(raw.get(field), str):
            raise ValueError(f"{field} must be a string")
    if not isinstance(raw.get("value"), dict):
        raise ValueError("value must be an object")
    for field in ("tolerance", "noise"):
        bound = raw.get(field)
        if bound is not None and not (isinstance(bound, int | float) and 0 <= bound < math.inf):
            raise ValueError(f"{field} must be a finite number, not negative, or null")
    for field in ("law", "reproduce"):
        if not isinstance(raw.get(field), str | None):
            raise ValueError(f"{field} must be a string or null")
    get = raw.get
    return Observation(
        raw["checkpoint"], raw["observation"], raw["input"], raw["group"], raw["value"],
        get("tolerance"), get("noise"), get("law"), get("reproduce"),
    )  # fmt: skip
