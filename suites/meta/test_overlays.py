"""Another library version beside torch: real pip, wheels made here, no network."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from fixtures import recording, releases
from fixtures.errors import UserError
from fixtures.overlays import Request, faults, parse, prepare
from fixtures.versions import main

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]
IMPORTED = "AutoTokenizer = AutoModel = PreTrainedModel = BertModel = None\n"
SAY_VERSION = "import transformers; print(transformers.__file__)"


def wheel(
    directory: Path,
    name: str,
    number: str,
    code: str = IMPORTED,
    *needs: str,
    tag: str = "py3-none-any",
) -> None:
    """A wheel of one module."""
    info = f"{name}-{number}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}/__init__.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n{requires}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = (
        "".join(f"{file},,{len(content)}\n" for file, content in files.items())
        + f"{info}/RECORD,,\n"
    )
    with zipfile.ZipFile(directory / f"{name}-{number}-{tag}.whl", "w") as archive:
        for file, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, content)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of wheels made here, and a cache of its own."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    wheel(directory, "transformers", "99.0", IMPORTED, "numpy", "stand-in-helper>=1")
    wheel(directory, "transformers", "99.1", "raise ImportError('helper moved')\n")
    wheel(directory, "transformers", "99.2", IMPORTED, "torch<1")
    wheel(directory, "transformers", "99.3", IMPORTED, "stand-in-helper>=2")
    wheel(directory, "transformers", "100.0rc1")
    wheel(directory, "stand_in_helper", "1.0", "")
    wheel(directory, "torch", "0.1", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    monkeypatch.setenv("CHECKPOINT_SUITES_CACHE", str(tmp_path / "cache"))
    releases.releases.cache_clear()
    yield directory
    releases.releases.cache_clear()


@pytest.mark.parametrize(
    ("specifier", "label", "again"),
    [
        ("4.57.6", "transformers-4.57.6", "4.57.6"),
        (" transformers==4.57.6 ", "transformers-4.57.6", "4.57.6"),
        ("5.0.0rc1", "transformers-5.0.0rc1", "5.0.0rc1"),
        ("tokenizers==0.22.1", "tokenizers-0.22.1", "tokenizers==0.22.1"),
        (
            "huggingface_hub==0.36.2,tokenizers==0.22.1,4.57.6",
            "transformers-4.57.6+huggingface-hub-0.36.2+tokenizers-0.22.1",
            "4.57.6,huggingface-hub==0.36.2,tokenizers==0.22.1",
        ),
    ],
)
def test_specifiers_are_read(specifier, label, again):
    """Each names a directory readably and can be typed again."""
    request = parse(specifier)
    assert (request.label, request.specifier) == (label, again)
    assert parse(again) == request


@pytest.mark.parametrize(
    ("specifier", "said"),
    [
        ("newest", "not a version"),
        ("", "not a version"),
        ("../../etc", "not a version"),
        ("torch==2.0", "stays as installed"),
        ("4.57.6,5.0.0", "twice"),
        ("tokenizers==main", "only transformers"),
    ],
)
def test_what_cannot_be_read_is_one_line(specifier, said):
    """A mistake is said in the user's words."""
    with pytest.raises(UserError, match=said) as raised:
        parse(specifier)
    assert "\n" not in str(raised.value)


def test_the_installed_version_needs_no_overlay(index):
    """Nothing is downloaded for what is there."""
    installed = version("transformers")
    overlay = prepare(parse(installed))
    assert overlay.path is None
    assert overlay.versions()["transformers"] == installed
    assert not (index.parent / "cache").exists()


def test_an_overlay_holds_what_differs_and_shadows_it(index):
    """Its own libraries come first, what the environment already satisfies is not copied."""
    overlay = prepare(parse("99.0"))
    names = {path.name for path in overlay.path.iterdir()}
    assert {"transformers", "stand_in_helper"} <= names
    assert not names & {"numpy", "torch"}
    assert overlay.versions()["transformers"] == "99.0"
    assert overlay.versions()["torch"] == version("torch")
    said = subprocess.run(
        [sys.executable, "-c", SAY_VERSION],
        env=overlay.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(said.stdout.strip()).is_relative_to(overlay.path)


def test_latest_is_the_newest_final_release(index):
    """Release candidates are taken only when asked for by name."""
    assert parse("latest") == Request((("transformers", "99.3"),))
    assert releases.between("transformers", "99.3", "99.0") == ["99.3", "99.2", "99.1", "99.0"]


@pytest.mark.parametrize(
    ("specifier", "said"),
    [
        ("99.1", "cannot run here: ImportError: helper moved"),
        ("99.2", "torch"),
        ("99.3", "Could not find a version"),
        ("98", "Could not find a version"),
    ],
)
def test_a_version_that_cannot_run_leaves_nothing_behind(index, specifier, said):
    """One line says why, and no directory that a later run would take for sound."""
    with pytest.raises(UserError, match=said) as raised:
        prepare(parse(specifier))
    assert "\n" not in str(raised.value)
    assert not list((index.parent / "cache" / "overlays").iterdir())


def test_an_overlay_is_built_once(index, monkeypatch):
    """The second time it needs no index, and no pip at all."""
    first = prepare(parse("99.0"))
    monkeypatch.setattr(releases, "pip", None)
    assert prepare(parse("99.0")) == first


@pytest.mark.parametrize("damage", ["cut short", "gone", "another interpreter", "unmet"])
def test_a_directory_that_cannot_serve_is_passed_over(index, damage):
    """It is neither used nor changed, for another process may be using it: a sound one is built."""
    request = parse("99.0")
    first = prepare(request).path
    if damage == "cut short":
        (first / "transformers" / "__init__.py").write_text("")
    elif damage == "gone":
        (first / "stand_in_helper" / "__init__.py").unlink()
    elif damage == "another interpreter":
        (first / "transformers-99.0.dist-info" / "WHEEL").write_text("Tag: cp27-cp27m-win32\n")
    else:
        metadata = first / "transformers-99.0.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text() + "Requires-Dist: numpy<1\n")
    assert faults(first, request)
    second = prepare(request).path
    assert second.name == "transformers-99.0~2"
    assert not faults(second, request)
    assert faults(first, request)
    assert prepare(request).path == second


def test_two_that_build_at_once_share_one_overlay(index):
    """The first to finish wins; both get a sound directory and nothing else remains."""
    code = "from fixtures.overlays import *; print(prepare(parse('99.0')).path)"

    def build(_: int) -> str:
        command = [sys.executable, "-c", code]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return answer.stdout.strip()

    with ThreadPoolExecutor() as pool:
        paths = set(pool.map(build, range(2)))
    [path] = paths
    assert [entry.name for entry in Path(path).parent.iterdir()] == ["transformers-99.0"]


def test_main_is_the_newest_commit_of_the_repository(tmp_path, monkeypatch):
    """And where the repository cannot be reached, one line says so."""
    repository = tmp_path / "repository"
    monkeypatch.setitem(releases.REPOSITORIES, "transformers", str(repository))
    releases.newest_commit.cache_clear()
    with pytest.raises(UserError, match="cannot be reached from here; name a release"):
        parse("main")
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    git = ["git", "-C", str(repository), *author]
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    [(_, pin)] = parse("main").pins
    assert pin == f"main-{head.stdout.strip()}"
    releases.newest_commit.cache_clear()


def test_a_record_is_reused_until_something_it_was_made_from_changes(tmp_path, monkeypatch):
    """Versions, the checkpoint's files, weights included, and the suite."""
    monkeypatch.setattr(recording, "RUNS", tmp_path / "runs")
    checkpoint = tmp_path / "mine"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text('{"model_type": "bert"}')
    save_file({"weight": numpy.zeros(1_250_000, "float32")}, checkpoint / "model.safetensors")
    ran: list[str] = []

    def run(overlay, subject, workers, directory):
        ran.append(overlay.label + subject.suffix)
        (directory / "environment.json").write_text("{}")
        return 0

    monkeypatch.setattr(recording, "_run", run)
    request = parse(version("transformers"))

    def paths(*names: Path, observation: str | None = None) -> list[Path]:
        subject = recording.subject([str(name) for name in names], observation)
        return recording.records([request], subject)

    assert paths(checkpoint) == paths(checkpoint) == paths(checkpoint, observation="a")
    assert len(ran) == 1
    with (checkpoint / "model.safetensors").open("r+b") as weights:
        weights.seek(4_500_000)
        weights.write(b"\x01")
    assert (paths(checkpoint)[0] / recording.STAMP).is_file()
    assert len(ran) == 2
    monkeypatch.setattr(recording, "suite_digest", lambda: "another suite")
    paths(checkpoint)
    assert len(ran) == 3


def test_a_run_that_fails_is_told_with_its_last_lines(tmp_path, monkeypatch):
    """And leaves no record."""
    monkeypatch.setattr(recording, "RUNS", tmp_path / "runs")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"model_type": "bert"}')
    subject = recording.subject([str(tmp_path / "mine")])
    (tmp_path / "mine" / "config.json").unlink()
    with pytest.raises(UserError, match=r"observing failed \(pytest ended with 4\)(.|\n)*empty"):
        recording.records([parse(version("transformers"))], subject)
    assert not list((tmp_path / "runs").iterdir())


def test_a_command_runs_under_a_version(index, capfd):
    """Its exit status is the command's own; `python` is this interpreter."""
    assert main(["run", "99.0", "python", "-c", SAY_VERSION + "; raise SystemExit(7)"]) == 7
    assert "transformers-99.0" in capfd.readouterr().out
    assert main(["run", "99.0", "no-such-program"]) == 2
    assert main(["run", "99.0"]) == 2
    assert main(["compare", "newest", "99.0"]) == 2
    assert "newest' is not a version" in capfd.readouterr().err


def test_the_index_lists_what_pip_prints():
    """Old and new pip print other lines around the one that counts."""
    text = (
        "transformers (5.0.0)\nAvailable versions: 5.0.0, 4.57.6, 4.9.1, 5.0.0rc3\n  INSTALLED: x"
    )
    assert releases.parse_index(text) == ["4.9.1", "4.57.6", "5.0.0"]
    assert releases.parse_index("ERROR: none") == []
