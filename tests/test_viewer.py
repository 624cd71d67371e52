"""The viewer's bundle: made of the sources that are here, fit for a page, and with its licence."""

import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
VIEWER = ROOT / "voxgan_jax" / "viewer"
SCRIPTS = ("viewer.js", "caps.js", "cuts.js", "handles.js", "light.js", "marks.js")
SOURCES = ("package.json", "package-lock.json", *SCRIPTS)


def test_the_bundle_was_made_of_these_sources():
    text = (VIEWER / "vendor" / "three_viewer.min.js").read_text(encoding="utf-8")
    found = re.search(r"source sha256 ([0-9a-f]{64})", text)
    sources = b"".join((VIEWER / "src" / name).read_bytes() for name in SOURCES)
    assert found and found.group(1) == hashlib.sha256(sources).hexdigest(), (
        "the viewer's bundle is stale; run scripts/build_viewer"
    )


def test_the_bundle_may_stand_in_a_page_and_carries_the_licence_of_three():
    data = (VIEWER / "vendor" / "three_viewer.min.js").read_bytes()
    assert len(data) < 700_000
    head, _, code = data.decode("utf-8").partition("*/")
    assert "MIT License" in head and "three.js authors" in head
    assert "The above copyright notice and this permission notice shall be included" in head
    assert code.isascii() and "</script" not in code.lower() and "<!--" not in code
    lock = json.loads((VIEWER / "src" / "package-lock.json").read_text(encoding="utf-8"))
    three = lock["packages"]["node_modules/three"]["version"]
    assert f"three.js {three} (MIT)" in head


def test_versions_are_pinned_and_no_host_is_named():
    made = json.loads((VIEWER / "src" / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((VIEWER / "src" / "package-lock.json").read_text(encoding="utf-8"))
    for name, version in (made["dependencies"] | made["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for name, package in lock["packages"].items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
