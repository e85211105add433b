"""Files and folders that are written whole, by one writer, and checked when they are read."""

from jaxopt_edu.files.checksums import (
    MANIFEST,
    check_manifest,
    checksum_of,
    list_checksums,
    open_json,
    seal_json,
)
from jaxopt_edu.files.locks import LOCK, FolderLock
from jaxopt_edu.files.trouble import check_writable, explained, make_folder
from jaxopt_edu.files.whole import check_folder, flush, whole_file, whole_folder

__all__ = [
    "LOCK",
    "MANIFEST",
    "FolderLock",
    "check_folder",
    "check_manifest",
    "check_writable",
    "checksum_of",
    "explained",
    "flush",
    "list_checksums",
    "make_folder",
    "open_json",
    "seal_json",
    "whole_file",
    "whole_folder",
]
