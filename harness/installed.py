"""Which version of a package is installed, whatever distribution brought it.

onnxruntime comes as onnxruntime, onnxruntime-gpu, onnxruntime-openvino and others,
all with the one package `onnxruntime`; the last one installed overwrites the others.
"""

from importlib.metadata import Distribution, distributions

RUNTIME = "onnxruntime"


def version_of(package: str) -> str:
    """Give the version of a package; where its name is another's, that name as well.

    Several that bring the same package are all named: which files are there cannot be
    told. Empty where there is none.

    >>> version_of("no_such_package")
    ''
    """
    found = bringing(package)
    return ", ".join(
        version if name == package else f"{version} ({name})"
        for name, version in found.items()
    )


def bringing(package: str) -> dict[str, str]:
    """Give the version of each distribution that brings the package, by its name."""
    found: dict[str, str] = {}
    for one in distributions():
        name = (one.name or "").lower()
        if name.startswith(package) and (name == package or _brings(one, package)):
            found.setdefault(name, one.version)
    return dict(sorted(found.items()))


def _brings(distribution: Distribution, package: str) -> bool:
    files = distribution.files or ()
    return any(file.parts[:2] == (package, "__init__.py") for file in files)
