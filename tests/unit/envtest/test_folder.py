"""The temporary folder of a control plane: private, and gone in the end whoever removes it."""

import stat
import subprocess
import sys
from pathlib import Path

from saperly_operator.envtest.folder import Folder, sweep

OWNER = """
import sys
from pathlib import Path
from saperly_operator.envtest.folder import Folder
folder = Folder(Path(sys.argv[1]))
print(folder.path, flush=True)
sys.stdin.read()
"""


def test_it_is_private_and_its_removal_leaves_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "data").mkdir()
    folder.remove()
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_what_a_killed_owner_left_and_not_what_a_living_one_holds(tmp_path: Path) -> None:
    mine = Folder(tmp_path)
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        its = Path(owner.stdout.readline().strip())
        sweep(tmp_path)
        assert its.exists()
        owner.kill()
    sweep(tmp_path)
    assert not its.exists()
    assert mine.path.exists()
    mine.remove()


def test_what_is_kept_on_purpose_survives_a_sweep_and_is_all_that_is_left(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for name in ("logs", "etcd"):
        (folder.path / name).mkdir()
        (folder.path / name / "file").write_text("x")
    (folder.path / "tokens.csv").write_text("x")
    folder.remove(but=folder.path / "logs")
    sweep(tmp_path)
    assert [entry.name for entry in folder.path.rglob("*")] == ["logs", "file"]
