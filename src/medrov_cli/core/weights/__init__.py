"""Weights without pickle: one safetensors file with JSON metadata, and the manifest of known ones.

The door of the room: everything that other rooms need is named here.
"""

from medrov_cli.core.weights.catalogue import (
    ManifestEntry,
    manifest,
    weights_dir,
    write_manifest_entry,
)
from medrov_cli.core.weights.container import (
    EMBEDDINGS,
    METADATA_KEY,
    Verification,
    load_embeddings,
    load_tensors,
    misfit,
    read_metadata,
    save,
    sha256_of,
    sha256_of_tensors,
    verify,
)
from medrov_cli.core.weights.metadata import (
    SCHEMA,
    ArchitectureInfo,
    ClassEntry,
    DatasetEntry,
    TextEncoderInfo,
    TrainingInfo,
    WeightsMetadata,
)
from medrov_cli.core.weights.resolution import (
    EXPORTED_SUFFIXES,
    PICKLE_SUFFIXES,
    locate,
    pulled_dir,
    resolve,
)

__all__ = [
    "EMBEDDINGS",
    "EXPORTED_SUFFIXES",
    "METADATA_KEY",
    "PICKLE_SUFFIXES",
    "SCHEMA",
    "ArchitectureInfo",
    "ClassEntry",
    "DatasetEntry",
    "ManifestEntry",
    "TextEncoderInfo",
    "TrainingInfo",
    "Verification",
    "WeightsMetadata",
    "load_embeddings",
    "load_tensors",
    "locate",
    "manifest",
    "misfit",
    "pulled_dir",
    "read_metadata",
    "resolve",
    "save",
    "sha256_of",
    "sha256_of_tensors",
    "verify",
    "weights_dir",
    "write_manifest_entry",
]
