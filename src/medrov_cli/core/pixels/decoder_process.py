"""The process in which native decoders run: it decodes one code stream after the other for `isolation`.

    python -m medrov_cli.core.pixels.decoder_process FILE [MODULE ...]

FILE is the descriptor of memory shared with the parent, or empty. The modules are imported before the first
request.

A request on standard input is the length of a JSON object (4 bytes, big endian), the object, and a stream.
Its keys are ``task``, ``options``, ``bytes``, ``memory_bytes`` and ``cpu_seconds``. The answer on standard
output has the same form, with the keys ``dtype``, ``shape``, ``bytes`` and ``extra`` of an array, or
``error``, the name of an exception. With ``shared`` the array is in the shared memory, not in the pipe. There
is no pickle: nothing of a file can become code.

A task of `STREAMS` yields several arrays: one for the request, and one for each request ``next`` after it,
until an answer has the key ``end``. While the parent uses an array, the process decodes the next one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from medrov_cli.core.base.child_processes import limit_address_space, limit_cpu
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.shared_buffer import SharedBuffer

if TYPE_CHECKING:  # it imports OpenCV, which most decoders do not need
    from medrov_cli.core.pixels.greyscale import Values

Decoded: TypeAlias = "tuple[Values, Mapping[str, Any]]"
"""Values, and what else is known of them."""


def decode_dicom(data: bytes, options: Mapping[str, Any]) -> Decoded:
    """Decode a frame with the first plug-in of pydicom that accepts it."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    from medrov_cli.core.pixels.dicom import codec_plugins

    codec_plugins.register()
    syntax = UID(options["transfer_syntax_uid"])
    decoder: Any
    decoder, item = get_decoder(syntax), encapsulate([data])
    failure: Exception = NotImplementedError()
    for plugin in options["plugins"]:
        try:
            values, properties = decoder.as_array(
                item,
                index=0,
                raw=False,
                decoding_plugin=plugin,
                **options["reading"],
                transfer_syntax_uid=syntax,
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a plug-in that refuses a frame may raise any exception
            failure = error
        else:
            return values, {"photometric": str(properties["photometric_interpretation"])}
    raise failure


def decode_jpeg2000(data: bytes, _: Mapping[str, Any]) -> Decoded:
    """Decode a JPEG 2000 file as stored."""
    import imagecodecs

    return np.asarray(imagecodecs.jpeg2k_decode(data)), {}


def decode_jpegls(data: bytes, _: Mapping[str, Any]) -> Decoded:
    """Decode a JPEG-LS file."""
    import imagecodecs

    return np.asarray(imagecodecs.jpegls_decode(data)), {}


def decode_jpeg(data: bytes, _: Mapping[str, Any]) -> Decoded:
    """Decode a JPEG file of more than 8 bits, or without loss."""
    import imagecodecs

    return np.asarray(imagecodecs.jpeg8_decode(data)), {}


def decode_tiff(_: bytes, options: Mapping[str, Any]) -> Decoded:
    """Decode a page of a TIFF file."""
    import tifffile

    with open(options["path"], "rb") as file, tifffile.TiffFile(file) as tiff:  # noqa: PTH123
        page = tiff.pages[options["page"]].aspage()
        return np.asarray(page.asarray(maxworkers=1)), {}


def decode_image(data: bytes, options: Mapping[str, Any]) -> Decoded:
    """Decode a file of one image whose header the parent has read."""
    from medrov_cli.core.pixels import pillow_images

    return pillow_images.decode_image(data, options)


TASKS: dict[str, Callable[[bytes, Mapping[str, Any]], Decoded]] = {
    "dicom": decode_dicom,
    "jpeg2000": decode_jpeg2000,
    "jpegls": decode_jpegls,
    "jpeg": decode_jpeg,
    "tiff": decode_tiff,
    "image": decode_image,
}


def decode_images(data: bytes, options: Mapping[str, Any]) -> Iterator[Decoded]:
    """Yield what the header of a file states, then each image."""
    from medrov_cli.core.pixels import pillow_images

    return pillow_images.decode_images(data, options)


def decode_video(_: bytes, options: Mapping[str, Any]) -> Iterator[Decoded]:
    """Yield what the header of a video states, then each frame."""
    from medrov_cli.core.pixels import video_frames

    return video_frames.decode_video(options["path"])


STREAMS: dict[str, Callable[[bytes, Mapping[str, Any]], Iterator[Decoded]]] = {
    "images": decode_images,
    "video": decode_video,
}

NEXT = "next"
"""Task of a request for the next array of a stream."""


class DecoderServer:
    """State of a decoder process: the stream that is read, and its next array.

    Parameters
    ----------
    tasks
        Functions by name.
    """

    def __init__(self, tasks: Mapping[str, Callable[..., Decoded]]) -> None:
        self._tasks = tasks
        self._stream: Iterator[Decoded] | None = None
        self._ahead: _Outcome | None = None

    def answer(self, request: Mapping[str, Any], data: bytes) -> _Outcome:
        """Return the array of a request, or its exception."""
        if request["task"] == NEXT:
            found, self._ahead = self._ahead, None
            return found or self._advance()
        self._stream = self._ahead = None
        make = STREAMS.get(request["task"])
        if make is None:
            return _attempt(lambda: self._tasks[request["task"]](data, request["options"]))
        self._stream = make(data, request["options"])
        return self._advance()

    def work_ahead(self) -> None:
        """Decode the next array of the stream."""
        if self._stream is not None and self._ahead is None:
            self._ahead = self._advance()

    def _advance(self) -> _Outcome:
        stream = self._stream
        if stream is None:
            return _Outcome(None, {"error": "ValueError"})
        found = _attempt(lambda: next(stream))
        if found.values is None:
            self._stream = None
        return found


class _Outcome(NamedTuple):
    """Array and what else is known of it; an exception or the end of a stream has no array."""

    values: Values | None
    extra: Mapping[str, Any]


def _attempt(decode: Callable[[], Decoded]) -> _Outcome:
    try:
        values, extra = decode()
    except StopIteration:
        return _Outcome(None, {"end": True})
    except MedrovError as error:
        about = {"code": error.code.value, "message": error.message, "hint": error.hint}
        return _Outcome(None, {"error": type(error).__name__, **about})
    except Exception as error:  # noqa: BLE001 - decoders raise any exception
        return _Outcome(None, {"error": type(error).__name__})
    return _Outcome(np.ascontiguousarray(values), extra)


def serve(
    source: BinaryIO,
    target: BinaryIO,
    tasks: Mapping[str, Callable[..., Decoded]],
    shared: SharedBuffer | None = None,
) -> None:
    """Answer requests until the source ends."""
    server = DecoderServer(tasks)
    while head := source.read(4):
        request = json.loads(source.read(int.from_bytes(head, "big")))
        data = source.read(request["bytes"])
        limit_cpu(request["cpu_seconds"])
        limit_address_space(request["memory_bytes"])
        body, extra = server.answer(request, data)
        del data
        answer: dict[str, Any] = {**extra, "bytes": 0}
        if body is not None:
            answer = {"dtype": body.dtype.str, "shape": body.shape, "bytes": body.nbytes, "extra": {**extra}}
            if shared is not None and shared.takes(body.nbytes):
                shared.write(body.reshape(-1).view(np.uint8))
                body, answer["shared"] = None, True
        text = json.dumps(answer).encode()
        target.write(len(text).to_bytes(4, "big") + text)
        if body is not None and body.size:
            target.write(body.reshape(-1).view(np.uint8).data)
        target.flush()
        del body
        if request["task"] == NEXT:  # the limits of the first request are those of a header
            server.work_ahead()


def main(tasks: Mapping[str, Callable[..., Decoded]] = TASKS) -> None:
    """Serve the parent process; Ctrl-C is its matter, and the end of its pipe ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence_python()
    target = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # libraries may print
    os.dup2(null, 2)
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules["requests"] = None  # pydicom imports it to download examples, which takes long
    shared = SharedBuffer(int(sys.argv[1])) if sys.argv[1] else None
    for name in sys.argv[2:]:
        with suppress(ImportError):
            import_module(name)
    serve(sys.stdin.buffer, target, tasks, shared)


if __name__ == "__main__":
    main()
