from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.errors import LibraryError, ModelError, ServerUnavailableError, SettingsError
from strategist.retrieval import embed
from strategist.retrieval.embed import (
    CachedEmbedder,
    EmbedderChoice,
    EndpointEmbedder,
    HashedEmbedder,
    MiniLMEmbedder,
    open_embedder,
    require_embedder,
)
from strategist.settings import RetrievalSettings

Floats = npt.NDArray[np.float32]


def vectors(texts: Sequence[str]) -> Floats:
    return asyncio.run(HashedEmbedder().embed(texts))


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_hashed_vectors_are_unit_and_independent_of_their_company(texts: list[str]) -> None:
    together = vectors(texts)
    assert together.shape == (len(texts), 1024)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(together[-1], vectors([texts[-1]])[0])


def test_hashed_vectors_are_the_same_in_every_process() -> None:
    vector = vectors(["the parcel is late"])[0]
    assert np.flatnonzero(vector)[:6].tolist() == [79, 81, 93, 113, 144, 216]
    assert round(float(vector.sum()), 4) == -0.5571


def test_hashed_vectors_know_what_is_alike() -> None:
    late, later, broken = vectors(["my parcel is late", "parcels are delayed and late", "the vase arrived broken"])
    assert late @ later > late @ broken + 0.1


def test_no_texts_no_vectors() -> None:
    assert vectors([]).shape == (0, 1024)


class Counting:
    id = "counting"

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Floats:
        self.seen += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(len(texts), 2)


def test_the_cache_asks_once_and_forgets_the_oldest() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, capacity=2)
    assert cached.id == "counting"
    assert asyncio.run(cached.embed(["a", "bb", "a"])).tolist() == [[1, 1], [2, 1], [1, 1]]
    assert inner.seen == ["a", "bb"]
    asyncio.run(cached.embed(["a", "ccc"]))
    assert inner.seen == ["a", "bb", "ccc"]
    asyncio.run(cached.embed(["bb"]))
    assert inner.seen == ["a", "bb", "ccc", "bb"]
    assert asyncio.run(cached.embed([])).shape == (0, 2)


class FakeSession:
    """Stands in for the model: the hidden state of a token is its id, in 384 dimensions."""

    def __init__(self, path: str, **_: object) -> None:
        self.path = path

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="input_ids"), SimpleNamespace(name="attention_mask")]

    def run(self, _: None, feed: dict[str, npt.NDArray[np.int64]]) -> list[Floats]:
        assert set(feed) == {"input_ids", "attention_mask"}
        ids = feed["input_ids"].astype(np.float32)
        return [np.stack([ids] + [np.ones_like(ids)] * 383, axis=-1)]


@pytest.fixture
def minilm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a real tokenizer and a model file that the fake session accepts."""
    import onnxruntime  # type: ignore[import-untyped]
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "late": 2, "parcel": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "model.onnx").write_bytes(b"weights")
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    return tmp_path


def test_minilm_pools_over_the_tokens_of_each_text_alone(minilm: Path) -> None:
    embedder = MiniLMEmbedder(minilm)
    assert embedder.id == f"minilm-l6-v2-{hashlib.sha256(b'weights').hexdigest()[:8]}"
    out = asyncio.run(embedder.embed(["parcel late", "late"]))
    mean = np.array([3.0] + [1.0] * 383)
    np.testing.assert_allclose(out[0], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_array_equal(out[1], asyncio.run(embedder.embed(["late"]))[0])
    assert asyncio.run(embedder.embed([])).shape == (0, 384)


def test_minilm_reads_no_more_than_256_tokens(minilm: Path) -> None:
    embedder = MiniLMEmbedder(minilm)
    long, cut = asyncio.run(embedder.embed(["late " * 256 + "parcel " * 500, "late " * 256]))
    np.testing.assert_array_equal(long, cut)


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(embed, "minilm_cache", lambda: folder)
    return folder


def test_auto_takes_the_endpoint_first(minilm: Path, no_cache: Path) -> None:
    choice = open_embedder(RetrievalSettings(embedder_url="http://127.0.0.1:1/v1", embedder_model="e5", minilm_folder=minilm))
    assert choice.embedder.id == "endpoint:e5-fields-v1"
    assert choice.notice == ""


def test_auto_takes_minilm_where_its_files_are(minilm: Path, no_cache: Path) -> None:
    assert open_embedder(RetrievalSettings(minilm_folder=minilm)).embedder.id.startswith("minilm-l6-v2-")
    (minilm.parent / "up").mkdir()
    minilm.rename(minilm.parent / "up" / "onnx")
    assert open_embedder(RetrievalSettings(minilm_folder=minilm.parent / "up")).embedder.id.startswith("minilm-l6-v2-")


def test_auto_finds_chromas_cache(minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "minilm_cache", lambda: minilm)
    assert open_embedder(RetrievalSettings()).embedder.id.startswith("minilm-l6-v2-")


def test_auto_falls_back_to_hashed_and_says_so_in_one_line(no_cache: Path) -> None:
    choice = open_embedder(RetrievalSettings())
    assert choice.embedder.id == "hashed-1024-v1-fields-v1"
    assert "hashed" in choice.notice
    assert "\n" not in choice.notice
    assert open_embedder(RetrievalSettings(embedder="hashed")).notice == ""


def test_settings_that_contradict_themselves_are_refused(tmp_path: Path, no_cache: Path) -> None:
    with pytest.raises(SettingsError, match="go together"):
        open_embedder(RetrievalSettings(embedder="endpoint"))
    with pytest.raises(SettingsError, match=r"model\.onnx"):
        open_embedder(RetrievalSettings(minilm_folder=tmp_path))


def test_minilm_by_name_downloads_through_chroma_or_says_what_to_do(minilm: Path, no_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    def fail(_: object, texts: list[str]) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(ONNXMiniLM_L6_V2, "__call__", fail)
    with pytest.raises(LibraryError, match="no route to host"):
        open_embedder(RetrievalSettings(embedder="minilm"))
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "__call__", lambda _, texts: shutil.copytree(minilm, no_cache))
    assert open_embedder(RetrievalSettings(embedder="minilm")).embedder.id.startswith("minilm-l6-v2-")


def test_chromas_cache_lies_under_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert embed.minilm_cache().is_relative_to(tmp_path)


def test_an_embedder_is_never_swapped_silently() -> None:
    choice = EmbedderChoice(HashedEmbedder(), "")
    require_embedder(choice, None)
    require_embedder(choice, "hashed-1024-v1")
    with pytest.raises(LibraryError, match="built with the embedder minilm-l6-v2-1"):
        require_embedder(choice, "minilm-l6-v2-1")


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A small `/embeddings` server; the model's name says how it misbehaves."""
    seen: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append(body)
            rows = [{"object": "embedding", "index": i, "embedding": [float(len(text)), 0.0]} for i, text in enumerate(body["input"])]
            rows = rows[1:] if body["model"] == "short" else rows[::-1]
            reply = json.dumps({"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()
            self.send_response(400 if body["model"] == "bad" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_endpoint_is_asked_in_batches_and_its_order_restored(
    endpoint: tuple[str, list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = endpoint
    monkeypatch.setattr(EndpointEmbedder, "BATCH", 2)
    out = asyncio.run(EndpointEmbedder(url, "e5").embed(["a", "bb", "ccc"]))
    assert out.tolist() == [[1, 0]] * 3
    assert [body["input"] for body in seen] == [["a", "bb"], ["ccc"]]
    assert len(asyncio.run(EndpointEmbedder(url, "e5").embed([]))) == 0


def test_the_endpoints_faults_are_named(endpoint: tuple[str, list[dict[str, object]]]) -> None:
    with pytest.raises(ModelError, match="1 vectors for 2 texts"):
        asyncio.run(EndpointEmbedder(endpoint[0], "short").embed(["a", "b"]))
    with pytest.raises(ModelError, match="refused 'bad'"):
        asyncio.run(EndpointEmbedder(endpoint[0], "bad").embed(["a"]))


def test_a_dead_endpoint_is_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.0)
    with pytest.raises(ServerUnavailableError, match="does not answer"):
        asyncio.run(EndpointEmbedder("http://127.0.0.1:1/v1", "e5").embed(["a"]))
