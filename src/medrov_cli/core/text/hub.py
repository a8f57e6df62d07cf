"""Files of Hugging Face hub repositories, from the local cache or the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.text.silence import quiet


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository; cached files are used without a check for updates.

    Attributes
    ----------
    name
        ``ORG/NAME``, or ``NAME`` for some old ones.
    offline
        Whether the network is forbidden.
    """

    name: str
    offline: bool

    def fetch(self, filename: str, revision: str | None = None) -> Path | None:
        """Return a file, downloaded if it is not cached; null if the repository has no file of that name.

        While offline, a file that is not cached counts as missing.

        Parameters
        ----------
        filename
            Name within the repository.
        revision
            Commit; null: the cached or latest state of the main branch.

        Raises
        ------
        MedrovError
            ``USAGE`` if the repository's name is not valid, ``ENCODER_MISSING`` if the repository does
            not exist, or the network fails.
        """
        with quiet():
            from huggingface_hub import hf_hub_download
            from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError

            for local in (True,) if self.offline else (True, False):
                try:
                    return Path(
                        hf_hub_download(self.name, filename, revision=revision, local_files_only=local)
                    )
                except LocalEntryNotFoundError as error:
                    if not local:  # the library's error for an unreachable hub
                        raise self._unreachable(error) from error
                except EntryNotFoundError:
                    return None
                except HFValidationError as error:
                    raise usage_error(
                        f"{self.name!r} is not a repository name: {error}", "Use ORG/NAME."
                    ) from error
                except OSError as error:
                    raise self._unreachable(error) from error
        return None

    def absent(self, what: str) -> MedrovError:
        """Return the error for a missing ``what``, with its reason."""
        if self.offline:
            return MedrovError(
                ErrorCode.NETWORK_FORBIDDEN,
                f"{what} of hf-hub:{self.name} is not in the local cache, and the network is forbidden",
                "Run once without --offline and MEDROV_OFFLINE, or use --text-encoder minilm.",
            )
        return MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"hf-hub:{self.name} has no {what}",
            "Give a repository with an open_clip model.",
        )

    def _unreachable(self, error: Exception) -> MedrovError:
        lines = str(error).strip().splitlines()
        return MedrovError(
            ErrorCode.ENCODER_MISSING,
            f"cannot get hf-hub:{self.name}: {lines[0] if lines else type(error).__name__}",
            "Check the name and the network, or use --text-encoder minilm.",
        )
