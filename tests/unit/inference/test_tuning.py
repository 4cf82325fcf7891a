"""The process of the room computes each thing by one thread, whichever library of linear algebra it has, and whenever that is loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

_ASK = """
import ctypes, importlib, json, pkgutil, sys
from threadpoolctl import threadpool_info
import radloop.inference
import radloop.standards.dicom
from radloop.inference.main import tune

def told():
    return {one["filepath"]: one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

tune()
tuned = told()
for room in (radloop.inference, radloop.standards.dicom):
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        if not module.name.endswith(".main"):
            importlib.import_module(module.name)
used = told()
ctypes.CDLL(sys.argv[1])
print(json.dumps([tuned, used, told()]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, int]]:
    """Return the threads of each BLAS in such a process: once tuned, with all of the room imported, and after one more was loaded."""
    assert np.eye(2) @ np.ones(2) == pytest.approx(1)  # numpy brings one
    blas = next(one for one in threadpool_info() if one["user_api"] == "blas")
    other = tmp_path_factory.mktemp("blas") / ("libopenblas_of_another" + "".join(Path(blas["filepath"]).suffixes))
    shutil.copy(blas["filepath"], other)
    beside = os.pathsep.join(filter(None, (str(Path(blas["filepath"]).parent), os.environ.get("LD_LIBRARY_PATH", ""))))
    said = subprocess.run(
        (sys.executable, "-c", _ASK, str(other)), capture_output=True, text=True, check=True,
        env={**os.environ, "LD_LIBRARY_PATH": beside, "OPENBLAS_NUM_THREADS": "2"},
    )
    found: list[dict[str, int]] = json.loads(said.stdout)
    return found


def test_all_that_the_room_computes_with_is_there_when_it_is_limited(told: list[dict[str, int]]) -> None:
    """Importing the rest of the room brings no other library along."""
    tuned, used, _ = told
    assert tuned
    assert set(tuned.values()) == {1}
    assert used == tuned


def test_what_is_loaded_later_is_limited_too(told: list[dict[str, int]]) -> None:
    """A plug-in of a decoder, or a function that is imported where it is used: nobody tunes anew for it."""
    _, used, later = told
    assert len(later) == len(used) + 1
    assert set(later.values()) == {1}
