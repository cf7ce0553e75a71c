"""The command on machines as they are: users without a home or a name, folders of others, few letters, closed pipes."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from checkouts import ROOT

from harness.results.machine import MACHINE_VARIABLE
from harness.results.store import Store

ONE = [
    *("run", "--suite", "spikes", "--task", "digits", "--neuron", "lif", "--method", "bptt", "--topology", "mlp"),
    *("--budget", "smoke", "--backend", "eager", "--seed", "0"),
]
WITHOUT = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "SPIKEBOARD_DATA", "SPIKEBOARD_KERNELS", MACHINE_VARIABLE)
CAPABILITY = "+dac_read_search"  # it may look at this checkout, wherever that lies, and write nowhere
NOBODY = [
    *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    *(f"--{kind}={CAPABILITY}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
]
needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become a user that the system does not know, with setpriv",
)


def commands(folder: Path, *each: Sequence[str], **variables: str) -> list[str]:
    """Run commands one after another in one process, each of which must end well; return what each said."""
    program = (
        "import json, sys\nfrom harness.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    sys.argv[1:] = arguments\n"
        "    try:\n        main()\n"
        "    except SystemExit as end:\n        assert not end.code, end.code\n"
        "    print('\\f')\n"
    )
    said = _said(folder, [sys.executable, "-c", program, json.dumps(each)], 0, variables).split("\f")
    assert len(said) == len(each) + 1
    return said[:-1]


def spikeboard(
    folder: Path,
    *arguments: str,
    prefix: Sequence[str] = (),
    code: int | None = 0,
    **variables: str,
) -> str:
    """Run the command in `folder`, with only these `variables` of those that tell who runs it; return what it says."""
    program = "from harness.cli import main; main()"
    return _said(folder, [*prefix, sys.executable, "-c", program, *arguments], code, variables)


def _said(folder: Path, command: list[str], code: int | None, variables: Mapping[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in WITHOUT}
    environment = {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    result = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = result.stdout.decode(errors="replace")
    assert code is None or result.returncode == code, said
    assert "Traceback" not in said
    return said


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may write and reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@needs_root
@pytest.mark.parametrize(
    "home",
    [None, pytest.param("/nonexistent", marks=pytest.mark.slow), pytest.param("/dev/null", marks=pytest.mark.slow)],
)
def test_a_user_without_a_name_or_a_home_can_do_everything(home: str | None, open_folder: Path) -> None:
    variables = {"TMPDIR": str(open_folder)} | ({} if home is None else {"HOME": home})
    for arguments in (["list"], ["data"], [*ONE, "--backend", "fused-numba"], ["table", "--all"], ["report"]):
        spikeboard(open_folder, *arguments, prefix=NOBODY, **variables)
    (found,) = {record.cell.backend for record in Store(open_folder / "reports/runs").read().records} - {"eager"}
    assert found == "fused-numba"
    assert (open_folder / "spikeboard-54321" / "kernels").is_dir()
    assert not (open_folder / "~").exists()


@needs_root
@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("from harness.data.base import data_root; print(data_root())", "data"),
        ("from reference_impls.user_cache import cache_folders; print(*cache_folders())", ""),
        ("from reference_impls.backends.fused.cache import kept_source; print(kept_source('x', '.py'))", "kernels"),
    ],
)
def test_caches_fall_back_to_temporary_files(code: str, place: str, open_folder: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(open_folder)}
    command = [*NOBODY, sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, cwd=open_folder, capture_output=True, text=True, check=True).stdout
    assert said.strip().startswith(str(open_folder / "spikeboard-54321" / place))


def test_a_folder_that_another_could_write_is_not_trusted(tmp_path: Path) -> None:
    planted = tmp_path / f"spikeboard-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    code = "from reference_impls.user_cache import cache_folders; print(*cache_folders())"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "HOME": "/home/x"}
    command = [sys.executable, "-c", code]
    for mode, trusted in ((0o777, False), (0o775, False), (0o700, True)):
        planted.chmod(mode)
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        assert said.split() == ["/home/x/.cache/spikeboard", *([str(planted)] if trusted else [])]


@needs_root
@pytest.mark.parametrize("where", ["store", "below"])
def test_a_store_of_another_is_told_before_anything_is_measured(where: str, open_folder: Path) -> None:
    store = open_folder / "store"
    blocked = store if where == "store" else store / next(iter(machine_folders(open_folder))) / "spikes"
    blocked.mkdir(parents=True)
    blocked.chmod(0o555)
    said = spikeboard(open_folder, *ONE, "--store", str(store), prefix=NOBODY, code=2)
    assert "cannot be written: Permission denied" in said
    assert "--store DIR" in said
    assert "[1/1]" not in said
    assert not list(store.rglob("*.json"))


def machine_folders(folder: Path) -> list[str]:
    """Return the folder that records of this machine lie in, by writing one."""
    from synthetic import record

    from harness.catalogue.cell import Cell
    from harness.results.machine import this_machine

    made = record(Cell("accuracy", "digits", "lif", "bptt", "mlp"), machine=this_machine())
    return [Store(folder / "trial").write(made).relative_to(folder / "trial").parts[0]]


@needs_root
@pytest.mark.slow
def test_a_folder_of_another_needs_only_a_store_elsewhere(open_folder: Path) -> None:
    locked = open_folder / "locked"
    locked.mkdir(mode=0o555)
    arguments = [word if word != "spikes" else "accuracy" for word in ONE]
    assert "cannot be written" in spikeboard(locked, *arguments, prefix=NOBODY, code=2)
    said = spikeboard(locked, *arguments, "--store", str(open_folder / "store"), prefix=NOBODY)
    assert "this run: 1 ok" in said  # though its weights cannot be kept in the locked folder
    for verb in (["report", "--store", str(open_folder / "store")], ["publish", "--from", str(open_folder / "store")]):
        assert "Permission denied" in spikeboard(locked, *verb, prefix=NOBODY, code=2)


@pytest.mark.parametrize("length", [pytest.param(100, marks=pytest.mark.slow), 200])
def test_a_long_tmpdir_is_no_obstacle(length: int, tmp_path: Path) -> None:
    long = tmp_path / ("t" * length)
    long.mkdir()
    assert "this run: 1 ok" in spikeboard(tmp_path, *ONE, TMPDIR=str(long))


@pytest.mark.slow
def test_a_tmpdir_that_is_not_there_is_no_obstacle(tmp_path: Path) -> None:
    assert "this run: 1 ok" in spikeboard(tmp_path, *ONE, TMPDIR=str(tmp_path / "gone"))


@pytest.fixture(scope="module")
def few_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose table has what ASCII has not: intervals, microseconds, marks of equality, noise."""
    from synthetic import Factory

    from harness.catalogue.cell import Cell

    root = tmp_path_factory.mktemp("few")
    factory, store = Factory(), Store(root)
    for neuron in ("lif", "if", "psn"):
        for suite in ("accuracy", "throughput", "memory", "spikes"):
            store.write(factory.measured(Cell(suite, "digits", neuron, "bptt", "mlp", budget="quick")))
    return root


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "gbk"},
        {"PYTHONIOENCODING": "cp1252:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb", "LC_ALL": "POSIX"},
    ],
    ids=["ascii", "gbk", "cp1252", "C", "dumb"],
)
def test_tables_go_to_any_terminal(few_records: Path, variables: dict[str, str]) -> None:
    table = ["table", "--board", "neurons", "--store", str(few_records)]
    assert all(said.strip() for said in commands(ROOT, table, ["list"], ["data"], ["run", "--help"], **variables))


@pytest.mark.parametrize(
    "columns", ["1", pytest.param("7", marks=pytest.mark.slow), pytest.param("30", marks=pytest.mark.slow)]
)
def test_small_terminals_get_something(columns: str) -> None:
    commands(ROOT, ["list"], ["data"], ["--help"], ["run", "--help"], COLUMNS=columns, LINES="1")


@pytest.mark.parametrize(
    "descriptor", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_closed_stream_costs_no_record(descriptor: int, tmp_path: Path) -> None:
    shell = {0: "<&-", 1: ">&-", 2: "2>&-"}[descriptor]
    command = f'exec "$0" -c "from harness.cli import main; main()" "$@" {shell}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(["sh", "-c", command, sys.executable, *ONE], cwd=tmp_path, env=environment)
    assert ended.returncode == 0
    (kept,) = Store(tmp_path / "reports/runs").read().records
    assert kept.status == "ok"


LISTENS_TO_ONE_LINE = """
import os, subprocess, sys
command = [sys.executable, "-c", "from harness.cli import main; main()", *sys.argv[1:]]
run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
while b"[1/" not in run.stdout.readline():
    pass
run.stdout.close()
sys.stderr.buffer.write(run.stderr.read())
print(run.wait())
"""


def test_nobody_need_listen_to_a_run(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    more = [*ONE, "--seed", "1", "--seed", "2", "--slots", "1"]
    command = [sys.executable, "-c", LISTENS_TO_ONE_LINE, *more]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert ended.stderr == ""
    assert ended.stdout.strip() in ("0", "1")  # 1: its tables found no reader
    assert sorted(found.cell.seed for found in Store(tmp_path / "reports/runs").read().records) == [0, 1, 2]


@pytest.mark.parametrize("arguments", [["list"], ["table", "--store", str(ROOT / "reports/data")], ["--help"]])
def test_a_reader_that_has_seen_enough_ends_it_quietly(arguments: list[str]) -> None:
    shell = '"$0" -c "from harness.cli import main; main()" "$@" | head -n 1'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        ["sh", "-c", shell, sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_behind_a_pipe_is_told() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from harness.cli import main; main()", "list"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 2
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


NAMES = {
    "": None,
    "实验室甲": "实验室甲",
    "машина 1": "машина-1",
    "ＬＡＢ／Ａ": "lab-a",
    "Büro Süd": "büro-süd",
    "../../etc": "etc",
}


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
@pytest.mark.parametrize("given", NAMES)
def test_a_name_in_any_script_is_kept(given: str, locale: dict[str, str]) -> None:
    code = "from harness.results.machine import this_machine; print(ascii(this_machine().name))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MACHINE_VARIABLE: given, **locale}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    name = json.loads(ended.stdout.replace("\\x", "\\u00").replace("'", '"'))
    wanted = NAMES[given]
    # A part of a machine's cores is another machine, whatever it is called.
    assert name.startswith(wanted) if wanted else name.endswith("c")


@pytest.mark.slow
def test_two_names_make_two_folders(tmp_path: Path) -> None:
    for given in ("实验室甲", "实验室乙", "машина"):
        assert "1 ok" in spikeboard(tmp_path, *ONE, **{MACHINE_VARIABLE: given})
    assert len(Store(tmp_path / "reports/runs").read().records) == 3
    assert len(list((tmp_path / "reports/runs").iterdir())) == 3


@pytest.mark.parametrize("given", ["🚀", *(pytest.param(name, marks=pytest.mark.slow) for name in ("--", "x" * 65))])
def test_what_is_no_name_is_refused(given: str, tmp_path: Path) -> None:
    said = spikeboard(tmp_path, *ONE, code=2, **{MACHINE_VARIABLE: given})
    assert f"{MACHINE_VARIABLE} is" in said
    assert "1 to 64 letters and digits" in said


@needs_root
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone")
def test_a_clone_of_another_gives_no_commit_and_says_why(open_folder: Path) -> None:
    clone = open_folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(clone)], check=True)
    said = spikeboard(
        open_folder, *ONE, "--dry-run", prefix=NOBODY, HOME=str(open_folder), PYTHONPATH=str(clone), LC_ALL="C"
    )
    assert "the records will carry no commit: git says: fatal: detected dubious ownership" in said
    assert f"git config --global --add safe.directory {clone}" in said
    assert "no commit" not in spikeboard(open_folder, *ONE, "--dry-run", PYTHONPATH=str(clone))


@pytest.mark.slow
def test_records_of_a_shared_store_can_be_read_by_others(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        spikeboard(tmp_path, *ONE)
    finally:
        os.umask(before)
    (path,) = (tmp_path / "reports/runs").rglob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    shell = 'rmdir "$PWD" && exec "$0" -c "from harness.cli import main; main()" run --preset smoke --dry-run'
    (tmp_path / "gone").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        ["sh", "-c", shell, sys.executable], cwd=tmp_path / "gone", env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "spikeboard: the folder that this runs in: No such file or directory" in ended.stderr
