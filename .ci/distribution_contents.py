"""Check that the distributions hold what they must: `python .ci/distribution_contents.py dist/*`.

The wheel holds the package and nothing else; the source distribution every file that git knows. Both hold the
bytes of the working tree, so that what passes in the tree passes in them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> set[str]:
    """Return the files that git knows; where there is no repository, all that nothing was built into."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        return set(listed.stdout.split("\n")) - {""}
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if not any(map(_is_built, path.parts))}


def _is_built(part: str) -> bool:
    hidden = part.startswith(".") and part not in (".ci", ".gitignore")
    return (
        hidden
        or part in ("__pycache__", "build", "dist", "reference")
        or part.endswith((".egg-info", ".pyc"))
    )


def problems_of_wheel(path: Path, files: set[str]) -> list[str]:
    """Return what a wheel lacks of the package or holds otherwise, and what it has beside it."""
    archive = zipfile.ZipFile(path)
    names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {name for name in files if name.startswith("regions/")}
    beside = [f"should not hold {name}" for name in sorted(names - package)]
    return differences({name: archive.read(name) for name in names}, package) + beside + dead_links(archive)


def dead_links(archive: zipfile.ZipFile) -> list[str]:
    """Return the links of the README in a wheel that lead nowhere on a package index, which has it alone."""
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    description = archive.read(metadata).decode().partition("\n\n")[2]
    if not description.startswith("# relu-regions"):
        return ["has no README"]
    links = re.findall(r"\]\(([^)]+)\)", description)
    return [f"links to {link}" for link in links if "://" not in link]


def problems_of_source(path: Path, files: set[str]) -> list[str]:
    """Return what a source distribution lacks or holds otherwise."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            if stream is not None:
                found[member.name.partition("/")[2]] = stream.read()
    return differences(found, files)


def differences(found: dict[str, bytes], files: set[str]) -> list[str]:
    """Return which files are not among what was found, or not as they are in the working tree."""
    lacking = [f"lacks {name}" for name in sorted(files - found.keys())]
    common = sorted(files & found.keys())
    return lacking + [f"holds another {name}" for name in common if found[name] != (ROOT / name).read_bytes()]


def main(paths: list[str]) -> int:
    """Print the problems of all distributions, and return 1 if there are any."""
    files, failed = tracked(), False
    for path in map(Path, paths):
        found = (problems_of_wheel if path.suffix == ".whl" else problems_of_source)(path, files)
        print(f"{path.name}: {'complete' if not found else f'{len(found)} problems'}")  # noqa: T201
        for line in found[:20]:
            print(f"  {line}")  # noqa: T201
        failed |= bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
