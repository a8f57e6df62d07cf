"""The child process of a campaign: it reads one input after the other, and reports time and memory.

    python child.py RESULTS_FD

Requests are lines ``{"target", "path"}`` on standard input, answers are lines on the descriptor.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))

from targets import TARGETS

ADDRESS_BYTES = 6 << 30
FILE_BYTES = 1 << 30


def main() -> None:
    """Serve requests until standard input ends."""
    answers = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(_try(request["target"], Path(request["path"]))) + "\n")


def _try(target: str, path: Path) -> dict[str, object]:
    with contextlib.suppress(OSError):  # the peak counts from here
        Path("/proc/self/clear_refs").write_text("5")
    started, note = time.monotonic(), ""
    try:
        result = TARGETS[target].read(path)
    except BaseException as error:  # noqa: BLE001 - a fault of the reader
        result, note = f"internal {type(error).__name__}", traceback.format_exc()[-2000:]
    seconds = round(time.monotonic() - started, 3)
    return {"result": result, "note": note, "seconds": seconds, "peak_bytes": _peak_bytes()}


def _peak_bytes() -> int:
    """Return the largest resident size since the last reset of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
