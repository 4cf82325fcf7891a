"""Where the embedded Triton cannot run, the message says what to install."""

import platform

import pytest

from radloop.kit.errors import Misconfigured
from radloop.workbench.embedded.triton_home import ensure_venv, missing_libraries, what_to_install

LDD = """
	linux-vdso.so.1 (0x00007f5ee7b5a000)
	libpython3.11.so.1.0 => not found
	libstdc++.so.6 => /lib/x86_64-linux-gnu/libstdc++.so.6 (0x00007f5ee6a00000)
"""


def test_missing_libpython_names_the_package():
    """Without a shared libpython the message names the package and the way around."""
    missing = missing_libraries(LDD)
    assert missing == ("libpython3.11.so.1.0",)
    told = what_to_install(missing)
    assert "apt-get install libpython3." in told
    assert "--triton HOST:PORT --model-repository DIR" in told


def test_other_platform_is_refused_with_the_way_around(monkeypatch: pytest.MonkeyPatch):
    """On another system the start does not try: it says so, and how to use a Triton elsewhere."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(Misconfigured, match=r"Darwin arm64.*--triton HOST:PORT --model-repository DIR"):
        ensure_venv()


def test_old_glibc_is_refused(monkeypatch: pytest.MonkeyPatch):
    """A system older than the wheel's binaries is named with its version."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    with pytest.raises(Misconfigured, match=r"glibc 2\.35.*2\.31"):
        ensure_venv()
