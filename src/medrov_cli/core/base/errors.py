"""Exception of the core, its closed list of codes, and their exit codes."""

from __future__ import annotations

import errno
import os
import traceback
from enum import IntEnum, StrEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the process. A change is a breaking change."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    PARTIAL = 3
    NO_INPUT = 4
    WEIGHTS = 5
    INTERRUPTED = 130
    TERMINATED = 143


class ErrorCode(StrEnum):
    """Codes of failures of a command or of one of its inputs."""

    # Failures of one input of a batch: a record in the output; the other inputs are processed.
    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"
    UNSUPPORTED_FORMAT = "unsupported_format"
    NO_PIXELS = "no_pixels"
    TRUNCATED = "truncated"
    DECODE_FAILED = "decode_failed"
    BAD_METADATA = "bad_metadata"
    TOO_LARGE = "too_large"
    # Failures of the command.
    USAGE = "usage"
    NO_INPUT = "no_input"
    DATASET_INVALID = "dataset_invalid"
    PREDICTIONS_INVALID = "predictions_invalid"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_CORRUPT = "weights_corrupt"
    WEIGHTS_UNTRUSTED = "weights_untrusted"
    ENCODER_MISSING = "encoder_missing"
    NETWORK_FORBIDDEN = "network_forbidden"
    DEPENDENCY_MISSING = "dependency_missing"
    NON_FINITE_LOSS = "non_finite_loss"
    PARITY_FAILED = "parity_failed"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_FAILED = "output_failed"
    TRANSFER_FAILED = "transfer_failed"
    INTERNAL = "internal"


INPUT_ERRORS = frozenset(
    {
        ErrorCode.NOT_FOUND,
        ErrorCode.UNREADABLE,
        ErrorCode.UNSUPPORTED_FORMAT,
        ErrorCode.NO_PIXELS,
        ErrorCode.TRUNCATED,
        ErrorCode.DECODE_FAILED,
        ErrorCode.BAD_METADATA,
        ErrorCode.TOO_LARGE,
    }
)

_EXIT_CODES = {
    ErrorCode.USAGE: ExitCode.USAGE,
    ErrorCode.DEPENDENCY_MISSING: ExitCode.USAGE,
    ErrorCode.DATASET_INVALID: ExitCode.NO_INPUT,
    ErrorCode.PREDICTIONS_INVALID: ExitCode.NO_INPUT,
    ErrorCode.NO_INPUT: ExitCode.NO_INPUT,
    ErrorCode.WEIGHTS_MISSING: ExitCode.WEIGHTS,
    ErrorCode.WEIGHTS_CORRUPT: ExitCode.WEIGHTS,
    ErrorCode.WEIGHTS_UNTRUSTED: ExitCode.WEIGHTS,
    ErrorCode.ENCODER_MISSING: ExitCode.WEIGHTS,
    ErrorCode.NETWORK_FORBIDDEN: ExitCode.WEIGHTS,
}


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_REFUSED_PATHS = frozenset(
    {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EIO}
)
_SHOWN_PATH = 200  # characters of a path in a message


class MedrovError(Exception):
    """Failure with a code, a message and a hint for the user.

    Parameters
    ----------
    code
        Reason, from the closed list.
    message
        What failed and where: one sentence, without a trailing newline or patient data.
    hint
        One action in the imperative.
    """

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of a command with this error."""
        if self.code in INPUT_ERRORS:
            return ExitCode.NO_INPUT
        return _EXIT_CODES.get(self.code, ExitCode.FAILURE)

    @property
    def is_input_error(self) -> bool:
        """Return whether only one input of a batch is affected."""
        return self.code in INPUT_ERRORS

    def as_dict(self) -> dict[str, str]:
        """Return the ``error`` object of a JSON record."""
        return {"code": self.code.value, "message": self.message, "hint": self.hint}


class CacheWarning(UserWarning):
    """Warning about an entry of the cache: it is damaged, or the cache is not writable."""


def warn_of_cache(message: str) -> None:
    """Give a `CacheWarning`, which the command line prints."""
    import warnings

    warnings.warn(message, CacheWarning, stacklevel=2)


def usage_error(message: str, hint: str) -> MedrovError:
    """Return the error of an option with an invalid value, or one that does not fit the others."""
    return MedrovError(ErrorCode.USAGE, message, hint)


def requires(flag: str, other: str, hint: str) -> MedrovError:
    """Return the error of an option that requires another one."""
    return usage_error(f"{flag} needs {other}", hint)


def excludes(flag: str, other: str, hint: str = "Give one of them.") -> MedrovError:
    """Return the error of two mutually exclusive options."""
    return usage_error(contradiction(flag, other), hint)


def contradiction(first: str, second: str) -> str:
    """Return the sentence that two statements exclude each other."""
    return f"{first} and {second} contradict each other"


def out_of_range(flag: str, value: float, low: float | None, high: float | None) -> MedrovError:
    """Return the error of a number outside its inclusive range; null: unlimited."""
    if high is None:
        return usage_error(f"{flag} {value:g} is below {low:g}", f"Give a number from {low:g}.")
    if low is None:
        return usage_error(f"{flag} {value:g} is above {high:g}", f"Give a number up to {high:g}.")
    return usage_error(
        f"{flag} {value:g} is not from {low:g} to {high:g}", f"Give a number from {low:g} to {high:g}."
    )


def place_of(error: Exception) -> str:
    """Return file and line of the innermost frame of an error in this package."""
    package = Path(__file__).parents[2]
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(package)
    ]
    if not frames:
        return "an unknown place"
    return f"{Path(frames[-1].filename).relative_to(package)}:{frames[-1].lineno}"


def system_failure(error: OSError) -> MedrovError | None:
    """Return the failure of a full disk, a removed working folder or a refused path; null for others."""
    if error.errno in _NO_SPACE:
        return MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write: {os.strerror(error.errno or 0)}",
            "Free some space, or write to another disk; files that were written are complete.",
        )
    if error.errno == errno.ENOENT and error.filename is None and not _has_working_folder():
        return MedrovError(
            ErrorCode.OUTPUT_FAILED,
            "the working folder does not exist any more",
            "Change to an existing folder, or give absolute paths.",
        )
    if error.errno not in _REFUSED_PATHS or error.filename is None:
        return None
    path = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
    shown = path if len(path) <= _SHOWN_PATH else f"{path[:_SHOWN_PATH]}..."
    return MedrovError(
        ErrorCode.UNREADABLE, f"{shown}: {os.strerror(error.errno)}", "Check the path and its permissions."
    )


def _has_working_folder() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109 - as Path.absolute() does
    except FileNotFoundError:
        return False
