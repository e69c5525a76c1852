"""The archive that a run travels in: a zip whose manifest names every member with its size and digest."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from ecoval_core.workspace import fields
from ecoval_core.workspace.bundle_fields import MANIFEST, MAX_UNPACKED, SCHEMA, BundleError

MAX_BYTES = 512 * 2**20
MAX_MEMBERS = 4_000
MAX_DIRECTORY_BYTES = 2**20
MAX_MANIFEST_BYTES = 16 * 2**20
_MANIFEST = "manifest.json"
_NAME = re.compile(
    r"(manifest|desk|summary)\.json|frame\.parquet|values/fit\.skops"
    r"|(prepared|values|results/[0-9]{1,3})(/[a-z_0-9]{1,40}){1,3}\.(json|parquet)"
)
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"
_PIECE = 2**20


def pack(
    members: dict[str, Path | bytes], manifest: dict[str, Any], target: Path | BinaryIO, name: str
) -> None:
    """Write an archive.

    Parameters
    ----------
    members : dict of str to Path or bytes
        Content, or where it is, by name.
    manifest : dict
        What is told besides; "members" is added.
    target : Path or binary file
        Where to.
    name : str
        What messages call it.

    Raises
    ------
    BundleError
        If it is too large.
    """
    named: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in sorted(members):
            content = members[member]
            content = content if isinstance(content, bytes) else content.read_bytes()
            named[member] = {"bytes": len(content), "digest": digest(content)}
            archive.writestr(_info(member), content)
        archive.writestr(_info(_MANIFEST), json_bytes({**manifest, "members": named}))
        n_bytes = sum(one.compress_size for one in archive.infolist())
    unpacked = sum(one["bytes"] for one in named.values())
    if n_bytes > MAX_BYTES or unpacked > MAX_UNPACKED or len(named) > MAX_MEMBERS:
        raise BundleError(
            f"{name} is too large for one file ({n_bytes / 2**20:,.0f} MB of at most "
            f"{MAX_BYTES / 2**20:,.0f} MB): export its values instead."
        )


def _info(name: str) -> zipfile.ZipInfo:
    # Of no date, so that the same run gives the same bytes.
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def json_bytes(content: Any) -> bytes:
    """Write JSON, the same for the same content."""
    return json.dumps(content, sort_keys=True, indent=1).encode()


def digest(content: bytes) -> str:
    """Return the digest by which a manifest names a content, 32 hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Say in one sentence that something is wrong with the file, whatever error shows it.

    Parameters
    ----------
    what : str
        What is said where the error says nothing for users; it follows "it".

    Raises
    ------
    BundleError
        In place of every error.
    """
    try:
        yield
    except MemoryError:
        raise
    except BundleError as error:
        if str(error).startswith(("This", "The run", "its", "it ")):
            why = str(error).rstrip(".")
            raise BundleError(f"This file is not imported: {why}.") from error
        raise BundleError(f"This file is not imported: {error}") from error
    except ValueError as error:
        why = (str(error).strip().splitlines() or [""])[0].rstrip(".")
        raise BundleError(f"This file is not imported: it {what} ({why}).") from error
    except Exception as error:
        # What is read may come from anybody: any error of any library says that it is damaged.
        raise BundleError(
            f"This file is not imported: it {what} ({type(error).__name__})."
        ) from error


def unpack(source: bytes | Path | BinaryIO, folder: Path) -> dict[str, Any]:
    """Write the members of an archive, which may come from anybody, into a folder.

    Parameters
    ----------
    source : bytes, Path or binary file
        The archive.
    folder : Path
        Where to.

    Returns
    -------
    dict
        Its manifest; what it names is there, and as it says.

    Raises
    ------
    BundleError
        If it is no archive of a run, is damaged, is of a later version, or unpacks to too much.
    OSError
        If the folder cannot be written.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return unpack(file, folder)
    archived: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    with refusing("is no run exported by EcoVal, or is damaged"):
        _check_end(archived)
        archive = zipfile.ZipFile(archived)
    with archive:
        with refusing("is no run exported by EcoVal, or is damaged"):
            members = _check_directory(archive)
            manifest = _read_manifest(archive, members)
        for name, info in members.items():
            if name != _MANIFEST:
                _unpack_member(archive, info, manifest["members"][name], folder / name)
    return manifest


def _check_end(file: BinaryIO) -> None:
    """Refuse an archive whose directory is too large to be looked at, before anybody does."""
    size = file.seek(0, io.SEEK_END)
    if size > MAX_BYTES:
        raise BundleError(f"it has more than {MAX_BYTES // 2**20} MB.")
    file.seek(max(0, size - 42))
    tail = file.read(42)
    end, before = tail[-22:], tail[:-22]
    if len(end) < 22 or not end.startswith(_END) or end[20:22] != b"\0\0" or before[:4] == _END_64:
        raise BundleError("it is no run exported by EcoVal, or is cut short.")
    if int.from_bytes(end[12:16], "little") > MAX_DIRECTORY_BYTES:
        raise BundleError("it holds too many files.")
    file.seek(0)


def _check_directory(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(infos) > MAX_MEMBERS or len(members) < len(infos):
        raise BundleError("it holds too many files, or two of one name.")
    for name, info in members.items():
        is_usual = (
            _NAME.fullmatch(name)
            and not info.flag_bits & 1
            and info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        )
        if not is_usual:
            raise BundleError(f"it holds {fields.shown(name)}, which no exported run holds.")
    if sum(info.file_size for info in infos) > MAX_UNPACKED:
        raise BundleError(f"it unpacks to more than {MAX_UNPACKED // 2**20} MB.")
    return members


def _read_manifest(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> dict[str, Any]:
    if _MANIFEST not in members:
        raise BundleError("it is no run exported by EcoVal: it has no manifest.")
    if members[_MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise BundleError("its manifest is too long.")
    content = b"".join(_pieces(archive, members[_MANIFEST]))
    found = fields.parse(content, MAX_MANIFEST_BYTES)
    schema = found.get("ecoval_run") if isinstance(found, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(
            f"it was exported by a later EcoVal (version {schema} of its format; this one knows "
            f"{SCHEMA}): install a later version."
        )
    manifest: dict[str, Any] = MANIFEST(found, "")
    if set(manifest["members"]) != set(members) - {_MANIFEST}:
        raise BundleError("it does not hold the files that its manifest names.")
    for name, named in manifest["members"].items():
        if named["bytes"] != members[name].file_size:
            raise BundleError(f"{name} in it is not as long as its manifest says.")
    return manifest


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member piece by piece; read in one, it may unpack to more than it says."""
    with archive.open(info) as member:
        while piece := member.read(_PIECE):
            yield piece


def _unpack_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, named: dict[str, Any], target: Path
) -> None:
    digest, n_bytes = blake2b(digest_size=16), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    pieces = _pieces(archive, info)
    with target.open("xb") as file:
        while True:
            with refusing("is damaged"):
                piece = next(pieces, None)
            if piece is None:
                break
            n_bytes += len(piece)
            digest.update(piece)
            file.write(piece)
    if n_bytes != named["bytes"] or digest.hexdigest() != named["digest"]:
        raise BundleError(f"This file is not imported: {info.filename} in it is damaged.")
