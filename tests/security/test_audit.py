"""The dependency audit fails for what can be mended, and says so when it audited nothing."""

import importlib.machinery
import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

import pytest
from repository import REPOSITORY

SCRIPT = REPOSITORY / ".ci" / "audit"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("audit", str(SCRIPT))
    spec = importlib.util.spec_from_loader("audit", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        loader.exec_module(module)
    return module


def package(name: str, *faults: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": list(faults)}


def fault(name: str, *fixed: str) -> dict[str, Any]:
    return {"id": name, "fix_versions": list(fixed), "aliases": ["CVE-1"], "description": "bad\n"}


UNKNOWN = {
    "name": "mine",
    "skip_reason": "Dependency not found on PyPI and could not be audited: mine (1.0)",
}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    (
        ([package("a"), package("b")], 0, "2 packages, 0 known vulnerabilities"),
        ([package("a", fault("X-1"))], 0, "a 1.0: X-1, CVE-1; no version mends it yet"),
        ([package("a", fault("X-1", "1.1"))], 1, "a 1.0: X-1, CVE-1; raise it to 1.1 in"),
        ([package("a", fault("X-1", "1.1", "2.3"))], 1, "raise it to 1.1 or 2.3 in"),
        ([package("a", fault("X-1"), fault("X-2", "2"))], 1, "2 known vulnerabilities, 1 of them"),
        ([package("a"), UNKNOWN], 0, "not audited, unknown to the vulnerability data: mine"),
        ([UNKNOWN, package("a", fault("X-1", "2"))], 1, "1 packages, 1 known"),
        ([UNKNOWN, UNKNOWN], 0, "audit: did not run: none of 2 packages was looked up (Dependency"),
        ([], 0, "dependency audit: did not run: none of 0 packages was looked up (no packages)"),
    ),
)
def test_what_can_be_mended_fails(
    audit: ModuleType, packages: list[dict[str, Any]], code: int, said: str
) -> None:
    lines, answer = audit.understood(json.dumps({"dependencies": packages, "fixes": []}), "")
    assert answer == code
    assert said in "\n".join(lines)
    assert ("did not run" in lines[0]) == (not any("vulns" in p for p in packages))


@pytest.mark.parametrize(
    ("program", "said"),
    (
        (
            "import sys; sys.exit('ERROR: cannot reach https://me:word@index/simple')",
            "https://***@",
        ),
        ("print('No known vulnerabilities found')", "did not run: no output"),
        ("print('[]')", "did not run: no output"),
        ("import time; time.sleep(60)", "did not run: no answer within 0.5 s"),
    ),
)
def test_an_audit_that_cannot_run_says_so_and_passes(
    audit: ModuleType, program: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        audit.main([sys.executable, "-c", program], seconds=0.5 if "sleep" in program else 60) == 0
    )
    shown = capsys.readouterr().out
    assert shown.startswith("dependency audit: did not run: ")
    assert said in shown
    assert "word" not in shown


def test_without_pip_audit_it_did_not_run(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(["/no/such/program"]) == 0
    assert "did not run: [Errno 2]" in capsys.readouterr().out


def test_the_findings_of_a_process_decide(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.dumps({"dependencies": [package("a", fault("X-1", "2"))]})
    program = f"import sys; print({found!r}); sys.exit(1)"
    assert audit.main([sys.executable, "-c", program]) == 1
    assert "a 1.0: X-1" in capsys.readouterr().out
