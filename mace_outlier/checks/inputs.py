"""Which files are checked, with which keys: the command line, or MACE's YAML file."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.sources import HDF5, LMDB, find_source, shards
from ..data.sources import KEYS as LABEL_KEYS

TRAIN, VALID, TEST = "train", "valid", "test"
KEYS = {name: LABEL_KEYS[name] for name in ("energy", "forces", "stress", "virials")}  # MACE's defaults
KEYS |= {name: name for name in ("total_charge", "total_spin", "head")}
FILES = {TRAIN: "train_file", VALID: "valid_file", TEST: "test_file"}
E0S_WORDS = ("average", "estimated", "foundation", "isolated")  # MACE's; "isolated": from the data


@dataclass(frozen=True)
class Source:
    """A file, what it is for, and where its labels are."""

    path: str
    role: str = TRAIN
    head: str = "Default"
    keys: Mapping[str, str] = field(default_factory=lambda: dict(KEYS))


@dataclass
class Inputs:
    """Everything that the checks are told."""

    sources: list[Source]
    E0s: dict[str, Any] = field(default_factory=dict)  # head -> what the option, or the statistics file, says
    scale: dict[str, float] = field(default_factory=dict)  # head -> scale of the model, where it is given
    r_max: float | None = None
    training: bool = False  # whether these are the options of a training, or only files
    read: list[Path] = field(default_factory=list)  # files that the options name: data, statistics, E0s


def files_behind(name: str) -> list[str]:
    """Return the files behind a name; raises ValueError for a file that is missing, or a folder without data."""
    if not Path(name).is_dir():
        find_source(name)
    return shards(name)


def gather(data: list[str], given: Mapping[str, Any], config: Mapping[str, Any]) -> Inputs:
    """Put together what is to be checked; the command line wins over the YAML file.

    Args:
        data: files named without a role.
        given: options of the command line that are not None, by MACE's names.
        config: MACE's YAML file.

    Raises:
        ValueError: nothing to check, a file that is missing, or options that can't be read.
    """
    options = {**config, **given}
    heads = heads_of(options)
    sources = []
    for head, own in (heads or {"Default": {}}).items():
        merged = {**options, **own} if not heads else {**{k: v for k, v in options.items() if k[-5:] != "_file"}, **own}
        sources += files_of(merged, head)
    sources = named_alone(data, options, sources) + sources
    if not sources:
        raise ValueError("nothing to check: name files, or --train_file, or --config with MACE's YAML file")
    e0s, scale = dict[str, Any](), dict[str, float]()
    for head, own in {"Default": options, **heads}.items():
        statistics = read_statistics(own.get("statistics_file") or (options.get("statistics_file")))
        if (value := statistics.get("atomic_energies", own.get("E0s"))) is not None:
            e0s[head] = read_E0s(value)
        if options.get("std") is not None:  # without it, MACE doesn't look at that of the file either
            scale[head] = float(statistics.get("std", options["std"]))
    training = bool(config) or bool(options.get("train_file"))
    r_max = options.get("r_max")
    read = [find_source(source.path) for source in sources]
    read += [path for own in (options, *heads.values()) for path in beside_data(own)]
    return Inputs(sources, e0s, scale, r_max and float(r_max), training, read)


def heads_of(options: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the options of each head, by its name; none without heads."""
    heads = read_literal("heads", options.get("heads") or {})
    if not isinstance(heads, Mapping):
        raise ValueError(f"--heads: a dictionary from names to options (train_file ...) is needed, not {heads!r}")
    for head, own in heads.items():
        if not isinstance(own, Mapping):
            raise ValueError(f"heads: {head} should hold options (train_file ...), and is {own!r}")
    return dict(heads)


def named_alone(data: list[str], options: Mapping[str, Any], others: Sequence[Source]) -> list[Source]:
    """Return files that are named without a role, once each, but those that the options name for training as well."""
    known = {find_source(other.path).resolve() for other in others if (other.role, other.head) == (TRAIN, Source.head)}
    found = []
    for path in (path for name in data for path in files_behind(name)):
        file = find_source(path).resolve()
        if file not in known:
            known.add(file)
            found.append(Source(path, TRAIN, keys=keys_of(options, path)))
    return found


def beside_data(options: Mapping[str, Any]) -> list[Path]:
    """Return the files that options name, other than data."""
    e0s = options.get("E0s")
    names = [options.get("statistics_file"), e0s if str(e0s).endswith(".json") else None]
    return [Path(name) for name in names if name]


def read_statistics(path: str | None) -> dict[str, Any]:
    """Return what MACE's preprocessing derived from the labels; nothing without a file."""
    try:
        return dict(json.loads(Path(path).read_text(encoding="utf-8"))) if path else {}
    except (OSError, ValueError) as error:
        raise ValueError(f"--statistics_file {path}: can't be read ({error})") from error


def keys_of(options: Mapping[str, Any], path: str) -> dict[str, str]:
    """Return where the labels are; those of HDF5 and LMDB have MACE's own names, whatever the options say."""
    if Path(path).suffix.lower() in (*HDF5, *LMDB):
        return dict(KEYS)
    return {name: str(options.get(f"{name}_key") or key) for name, key in KEYS.items()}


def files_of(options: Mapping[str, Any], head: str) -> list[Source]:
    """Return the files of a head."""
    found = []
    for role, option in FILES.items():
        names = options.get(option)
        for name in [names] if isinstance(names, str) else names or []:
            found += [Source(path, role, head, keys_of(options, path)) for path in files_behind(str(name))]
    return found


def read_literal(name: str, value: Any) -> Any:
    """Return an option that may be the text of a Python literal."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"--{name}: can't be read ({error}): {value!r}") from error


def read_E0s(value: Any) -> Any:  # noqa: N802, MACE's name
    """Return E0s as a dictionary of numbers, or as one of MACE's words; raises ValueError for anything else."""
    if isinstance(value, str) and value.endswith(".json"):
        value = json.loads(Path(value).read_text(encoding="utf-8"))
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        word = "isolated" if value.lower().startswith("isolated") else value.lower()  # IsolatedAtom
        if word not in E0S_WORDS:
            raise ValueError(f"--E0s={value}: a dictionary, a .json file, or one of {', '.join(E0S_WORDS)}")
        return word
    numbers = read_literal("E0s", value)
    try:
        return {int(z): float(energy) for z, energy in numbers.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"--E0s: a dictionary from atomic numbers to eV is needed, not {value!r}") from error


def read_config(path: Path) -> dict[str, Any]:
    """Return MACE's YAML file."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path}: no YAML file ({error})") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"--config {path}: options are expected, one in a line")
    return dict(content)
