"""Detect in each study that Orthanc stores, and send reports and presentation states back to it.

python examples/orthanc_detect.py http://127.0.0.1:8042 work/ --classes "lung nodule"

It follows the changes of Orthanc until it is stopped, with --once until the present ones are done. A study is
processed when no instance was added for a while (StableAge of Orthanc). Results of a study are in a folder of
WORK, named after its images: a study that only received results is not processed again. Credentials are read
from the environment, as by medrov send.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

RESULTS = {"SR", "PR", "SEG", "KO"}
MEDROV = [sys.executable, "-m", "medrov_cli"]


def get(url: str) -> Any:
    """Return the JSON document at an address."""
    request = urllib.request.Request(url)  # noqa: S310 - the address that the user gave
    user = os.environ.get("MEDROV_DICOMWEB_USER")
    if user:
        pair = f"{user}:{os.environ.get('MEDROV_DICOMWEB_PASSWORD', '')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def process(server: str, study: str, work: Path, options: list[str]) -> None:
    """Detect in one study and send the results; both commands continue what was interrupted."""
    uid = get(f"{server}/studies/{study}")["MainDicomTags"]["StudyInstanceUID"]
    images = [
        instance
        for series in get(f"{server}/studies/{study}/series")
        if series["MainDicomTags"].get("Modality") not in RESULTS
        for instance in series["Instances"]
    ]
    if not images:
        return
    name = hashlib.sha256("\n".join(sorted(images)).encode()).hexdigest()[:16]
    folder = work / name
    service = f"{server}/dicom-web"
    detect = [*MEDROV, "detect", f"dicomweb:{service}/studies/{uid}", "-o", str(folder), "-f", "sr,gsps"]
    if not (folder / "detections.jsonl").exists():
        resume = ["--resume"] if (folder / "run.json").exists() else []
        done = subprocess.run([*detect, *resume, *options], check=False)  # noqa: S603 - no shell
        if done.returncode not in (0, 3):
            print(f"study {name}: not processed", file=sys.stderr)
            return
    subprocess.run([*MEDROV, "send", str(folder), "--to", service], check=False)  # noqa: S603


def main() -> None:
    """Follow the changes of Orthanc."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="address of Orthanc, such as http://127.0.0.1:8042")
    parser.add_argument("work", type=Path, help="folder for results")
    parser.add_argument("--once", action="store_true", help="end when the present changes are done")
    own, options = parser.parse_known_args()
    server = own.server.rstrip("/")
    own.work.mkdir(parents=True, exist_ok=True)
    state = own.work / "last_change.txt"
    last = int(state.read_text()) if state.exists() else 0
    while True:
        changes = get(f"{server}/changes?since={last}&limit=100")
        for change in changes["Changes"]:
            if change["ChangeType"] == "StableStudy":
                process(server, change["ID"], own.work, options)
            state.write_text(str(change["Seq"]))
        last = changes["Last"]
        if changes["Done"]:
            if own.once:
                return
            time.sleep(2)


if __name__ == "__main__":
    main()
