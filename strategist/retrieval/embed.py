"""Embedders: text in, unit vectors out, each under an id that is stored with the library.

An embedder is chosen once per library (`open_embedder`) and never swapped silently: vectors of two embedders do not compare, and the
floor was calibrated for one of them (`require_embedder`). In the order of preference: an embeddings endpoint, MiniLM-L6-v2 through
onnxruntime, hashed vectors that need no file and no network. Nothing here knows a library, an index or a ranking.

Invariants: vectors are float32 of shape (n, d) with rows of length 1; the same text gets the same vector whatever it is embedded with
(texts go through MiniLM one by one: dynamic int8 quantisation looks at a whole batch).
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections import OrderedDict
from collections.abc import Container, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from strategist.errors import LibraryError, ModelError, ServerUnavailableError, SettingsError
from strategist.languages import language_of
from strategist.retrieval.fields import FieldEmbedder
from strategist.retrieval.mask import words
from strategist.retrieval.minilm import DIMENSIONS, MiniLM
from strategist.settings import RetrievalSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

HASHED_DIMENSIONS = 1024
API_KEY_VARIABLE = "OPENAI_API_KEY"


class Embedder(Protocol):
    """Turns texts into unit vectors. For keys, put `fields.FieldEmbedder` around one that knows only texts: `open_embedder` does."""

    @property
    def id(self) -> str:
        """Identity stored with a library: kind, model, version of the method."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (n, d), float32, rows of length 1."""
        ...


class HashedEmbedder:
    """Signed feature hashing of words, word pairs and the 3- to 5-grams of each word into 1,024 dimensions.

    Features weigh 1 + log(count); very common words of the language are left out. Source of the method: Weinberger et al. (2009), "Feature
    hashing for large scale multitask learning". No file, no network, about 0.2 ms a text.
    """

    def __init__(self, language: str = "en") -> None:
        own = language_of(language)
        self._common = own.common_words
        self.id = f"hashed-{HASHED_DIMENSIONS}-v1" if own.code == "en" else f"hashed-{HASHED_DIMENSIONS}-{own.code}-v1"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`. A text without words gets one fixed vector of its own."""
        import numpy as np

        out = np.zeros((len(texts), HASHED_DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            counts: dict[int, int] = {}
            for feature in _features(text, self._common):
                counts[feature] = counts.get(feature, 0) + 1
            hashes = np.fromiter(counts, dtype=np.int64, count=len(counts))
            weights = 1 + np.log(np.fromiter(counts.values(), dtype=np.float64, count=len(counts)))
            np.add.at(out[row], hashes >> 1 & (HASHED_DIMENSIONS - 1), (weights * (1 - 2 * (hashes & 1))).astype(np.float32))
        return _unit(out)


class MiniLMEmbedder:
    """all-MiniLM-L6-v2 (384 dimensions, mean pooling) from a folder with `model.onnx` and `tokenizer.json`, as Chroma ships it.

    Reads the first 256 tokens. The id holds the first 8 hex digits of the model file's SHA-256: an int8 and a float file differ.
    """

    def __init__(self, folder: Path) -> None:
        import hashlib

        self._model = MiniLM(folder)
        with (folder / "model.onnx").open("rb") as file:
            self.id = f"minilm-l6-v2-{hashlib.file_digest(file, 'sha256').hexdigest()[:8]}"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`. Runs in a thread: 10 to 60 ms a text on one core."""
        return await asyncio.to_thread(self._embed, tuple(texts))

    def _embed(self, texts: tuple[str, ...]) -> Vectors:
        import numpy as np

        pooled = [self._model.vector(text) for text in texts]
        return _unit(np.stack(pooled)) if pooled else np.zeros((0, DIMENSIONS), dtype=np.float32)


class EndpointEmbedder:
    """An OpenAI-compatible `/embeddings` endpoint. The key comes from the environment variable OPENAI_API_KEY, if it is set."""

    BATCH = 128

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model
        self.id = f"endpoint:{model}"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`. Raises ServerUnavailableError if nothing answers, ModelError for any other refusal."""
        import numpy as np
        import openai

        rows: list[Sequence[float]] = []
        try:
            async with openai.AsyncOpenAI(
                base_url=self._url, api_key=os.environ.get(API_KEY_VARIABLE, "none"), max_retries=2, timeout=30.0
            ) as client:
                for start in range(0, len(texts), self.BATCH):
                    batch = list(texts[start : start + self.BATCH])
                    reply = await client.embeddings.create(model=self._model, input=batch, encoding_format="float")
                    rows += [item.embedding for item in sorted(reply.data, key=lambda item: item.index)]
        except openai.APIConnectionError:
            hint = "start it, or see [retrieval] embedder_url in strategist.toml"
            raise ServerUnavailableError(f"the embeddings endpoint {self._url} does not answer", hint=hint) from None
        except openai.OpenAIError as error:
            raise ModelError(f"the embeddings endpoint {self._url} refused {self._model!r}: {error}") from None
        vectors = np.array(rows, dtype=np.float32).reshape(len(rows), -1) if rows else np.zeros((0, 1), dtype=np.float32)
        if len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise ModelError(f"the embeddings endpoint {self._url} sent {len(vectors)} vectors for {len(texts)} texts, or broken numbers")
        return _unit(vectors)


class CachedEmbedder:
    """Another embedder with a memory of the last `capacity` texts. Same id, same vectors."""

    def __init__(self, inner: Embedder, capacity: int = 20_000) -> None:
        self._inner = inner
        self._capacity = capacity
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self.id = inner.id

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`; only texts not remembered reach the inner embedder, each once."""
        import numpy as np

        found = {text: self._known[text] for text in texts if text in self._known}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        fresh = await self._inner.embed(missing) if missing or not texts else np.zeros((0, 0), dtype=np.float32)
        found.update(zip(missing, fresh, strict=True))
        for text in dict.fromkeys(texts):
            self._known[text] = found[text]
            self._known.move_to_end(text)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return np.stack([found[text] for text in texts]) if texts else fresh


class EmbedderChoice(NamedTuple):
    """The embedder that was chosen, and one line to show when the choice is not the best possible (else empty)."""

    embedder: Embedder
    notice: str


def open_embedder(settings: RetrievalSettings, language: str = "en") -> EmbedderChoice:
    """Choose the embedder for texts of a language. `auto` never downloads; `minilm` asks Chroma's own download if no file is found.

    Raises SettingsError for settings that contradict themselves, LibraryError if MiniLM is asked for and cannot be had.
    """
    if settings.embedder == "endpoint" or (settings.embedder == "auto" and settings.embedder_url):
        if not (settings.embedder_url and settings.embedder_model):
            raise SettingsError("[retrieval] embedder_url and embedder_model go together", hint="set both, or embedder = 'hashed'")
        return EmbedderChoice(of_keys(EndpointEmbedder(settings.embedder_url, settings.embedder_model)), "")
    if settings.embedder != "hashed":
        folder = _find_minilm(settings.minilm_folder)
        if folder is None and settings.embedder == "minilm":
            folder = _download_minilm()
        if folder is not None:
            return EmbedderChoice(of_keys(MiniLMEmbedder(folder)), "")
    notice = "" if settings.embedder == "hashed" else HASHED_NOTICE
    return EmbedderChoice(of_keys(HashedEmbedder(language)), notice)


def of_keys(embedder: Embedder) -> Embedder:
    """An embedder of keys around one of texts. It remembers the vectors of fields: openings come again at every turn."""
    return FieldEmbedder(CachedEmbedder(embedder))


HASHED_NOTICE = (
    "embedder: built-in hashed vectors (no embeddings endpoint is set and no MiniLM files were found), so BM25 carries the ranking; "
    "[retrieval] embedder_url or minilm_folder would improve it"
)


def require_embedder(choice: EmbedderChoice, stored_id: str | None) -> None:
    """Raise LibraryError if a library was built with another embedder than the one chosen now (None or empty: not built yet)."""
    if stored_id and choice.embedder.id != stored_id:
        raise LibraryError(
            f"this library was built with the embedder {stored_id}, but the settings choose {choice.embedder.id}",
            hint="restore the [retrieval] settings, or run `strategist library rebuild` to move to the new embedder and a new floor",
        )


def _features(text: str, common: Container[str]) -> list[int]:
    known = [word for word in words(text) if word not in common]
    features = [hashed for word in known for hashed in _word_features(word)]
    features += [zlib.crc32(f"{a} {b}".encode()) for a, b in pairwise(known)]
    return features or [zlib.crc32(b"<empty>")]


@lru_cache(maxsize=50_000)
def _word_features(word: str) -> tuple[int, ...]:
    """Hashes of a word and of its 3- to 5-grams with both ends marked."""
    marked = f"^{word}$"
    grams = {marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)} | {marked}
    return tuple(zlib.crc32(gram.encode()) for gram in sorted(grams))


def _unit(rows: Vectors) -> Vectors:
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True) if rows.size else np.ones((len(rows), 1))
    unit: Vectors = (rows / np.where(norms == 0, 1, norms)).astype(np.float32)
    return unit


def _find_minilm(given: Path | None) -> Path | None:
    """The folder that holds the model: the given one (or its `onnx/`), which must then be right, else Chroma's cache."""
    if given is not None:
        for folder in (given, given / "onnx"):
            if _has_minilm(folder):
                return folder
        raise SettingsError(f"no model.onnx and tokenizer.json in {given}", hint="correct [retrieval] minilm_folder, or remove it")
    cache = minilm_cache()
    return cache if _has_minilm(cache) else None


def _has_minilm(folder: Path) -> bool:
    return (folder / "model.onnx").is_file() and (folder / "tokenizer.json").is_file()


def minilm_cache() -> Path:
    """Where Chroma keeps its copy of MiniLM."""
    return Path.home() / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2" / "onnx"


def _download_minilm() -> Path:
    """Let Chroma download its model into its cache."""
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    try:
        ONNXMiniLM_L6_V2()(["ready"])
    except Exception as error:  # noqa: BLE001 - whatever the network does, the user gets one line
        hint = "put model.onnx and tokenizer.json into a folder and set [retrieval] minilm_folder, or set embedder = 'hashed'"
        raise LibraryError(f"MiniLM is not here and cannot be downloaded: {error}", hint=hint) from None
    return minilm_cache()
