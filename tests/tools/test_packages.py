"""A browser for the tests: taken where one is, installed where it can be, and not missed where not."""

import shutil

import pytest

from tools import packages
from tools.machine.steps import SetupError


def test_a_browser_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/bin/{name}" if "chrome" in name else None)
    monkeypatch.setattr(packages, "run", lambda *_: pytest.fail("nothing lacks"))

    packages.install_browser({})

    assert packages.browser() == "/usr/bin/google-chrome-stable"


def test_without_one_set_up_goes_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path="": "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(packages, "become_root", list)

    def refused(*_: object) -> str:
        raise SetupError("Reading Debian's package lists failed.")

    monkeypatch.setattr(packages, "run", refused)

    packages.install_browser({})

    said = capsys.readouterr().err
    assert "for Debian's chromium: tests look at the pages in it" in said
    assert "no browser, so the tests look at no page. Reading Debian" in said


def test_what_needs_root_and_what_works_without_is_said_before_root_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path="": "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(packages, "become_root", list)
    said: list[str] = []

    def run(*_: object) -> str:
        said.append(capsys.readouterr().err)
        return ""

    monkeypatch.setattr(packages, "run", run)

    packages.install_packages({})

    assert "root is needed once, for Debian's openssh-server runit" in said[0]
    assert "Without root, `make check` works" in said[0]
    monkeypatch.setattr(packages, "become_root", lambda: None)
    with pytest.raises(SetupError, match="Only root may install them: sudo apt-get install openssh-server runit"):
        packages.install_packages({})
