"""Command that rebuilds the shipped vocabulary: ``python -m medrov_cli.core.text.build_vocabulary``.

Run it after each change of ``assets/synonyms.toml``, from a checkout that is installed in
editable mode. A test fails while a text of the lexicon is missing from the vocabulary.
"""

from __future__ import annotations

from importlib.resources import as_file, files

from medrov_cli.core.text.encoders import open_encoder
from medrov_cli.core.text.minilm.encoder import MINILM
from medrov_cli.core.text.vocabulary import VOCABULARY, build_vocabulary

if __name__ == "__main__":
    with as_file(files("medrov_cli").joinpath("assets", VOCABULARY)) as asset:
        build_vocabulary(asset, open_encoder(MINILM.spec, offline=True))
