"""The one exception of the core, its closed list of codes, and their exit codes."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process returns. A change here is a breaking change."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    PARTIAL = 3
    NO_INPUT = 4
    WEIGHTS = 5
    INTERRUPTED = 130


class ErrorCode(StrEnum):
    """Every reason for which a command or one of its inputs can fail."""

    # One input of a batch: becomes a record in the output, the batch goes on.
    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"
    UNSUPPORTED_FORMAT = "unsupported_format"
    NO_PIXELS = "no_pixels"
    TRUNCATED = "truncated"
    DECODE_FAILED = "decode_failed"
    BAD_METADATA = "bad_metadata"
    TOO_LARGE = "too_large"
    # The whole command.
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
    ErrorCode.DATASET_INVALID: ExitCode.NO_INPUT,
    ErrorCode.PREDICTIONS_INVALID: ExitCode.NO_INPUT,
    ErrorCode.NO_INPUT: ExitCode.NO_INPUT,
    ErrorCode.WEIGHTS_MISSING: ExitCode.WEIGHTS,
    ErrorCode.WEIGHTS_CORRUPT: ExitCode.WEIGHTS,
    ErrorCode.WEIGHTS_UNTRUSTED: ExitCode.WEIGHTS,
    ErrorCode.ENCODER_MISSING: ExitCode.WEIGHTS,
    ErrorCode.NETWORK_FORBIDDEN: ExitCode.WEIGHTS,
}


class MedrovError(Exception):
    """A failure that a user can act on.

    Parameters
    ----------
    code
        The reason, from the closed list.
    message
        What failed, and where. One sentence, no trailing newline, no patient data.
    hint
        What to do about it.
    """

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of a command that ends with this error."""
        if self.code in INPUT_ERRORS:
            return ExitCode.NO_INPUT
        return _EXIT_CODES.get(self.code, ExitCode.FAILURE)

    @property
    def is_input_error(self) -> bool:
        """Tell whether only one input of a batch is affected."""
        return self.code in INPUT_ERRORS

    def as_dict(self) -> dict[str, str]:
        """Return the ``error`` object of a JSON record."""
        return {"code": self.code.value, "message": self.message, "hint": self.hint}


def usage_error(message: str, hint: str) -> MedrovError:
    """Return the error of an option that has a bad value or does not fit the others."""
    return MedrovError(ErrorCode.USAGE, message, hint)


def requires(flag: str, other: str, hint: str) -> MedrovError:
    """Return the error of an option that has no meaning without another one."""
    return usage_error(f"{flag} needs {other}", hint)


def excludes(flag: str, other: str, hint: str = "Give one of them.") -> MedrovError:
    """Return the error of two options of which only one may be given."""
    return usage_error(contradiction(flag, other), hint)


def contradiction(first: str, second: str) -> str:
    """Return the sentence that two statements exclude each other."""
    return f"{first} and {second} contradict each other"


def out_of_range(flag: str, value: float, low: float | None, high: float | None) -> MedrovError:
    """Return the error of a number outside its range, whose ends are included; null: unlimited."""
    if high is None:
        return usage_error(f"{flag} {value:g} is below {low:g}", f"Give a number from {low:g}.")
    if low is None:
        return usage_error(f"{flag} {value:g} is above {high:g}", f"Give a number up to {high:g}.")
    return usage_error(
        f"{flag} {value:g} is not from {low:g} to {high:g}", f"Give a number from {low:g} to {high:g}."
    )
