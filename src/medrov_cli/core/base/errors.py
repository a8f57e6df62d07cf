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
