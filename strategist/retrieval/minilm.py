"""The forward pass of all-MiniLM-L6-v2: tokenizer and ONNX session of a folder, loaded once; one text in, one pooled vector out.

Both libraries are imported on first use (0.3 s, about 190 MB). One thread and one text at a time, so that a vector never depends on
what else is embedded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnxruntime  # type: ignore[import-untyped]
    import tokenizers

MAX_TOKENS = 256
DIMENSIONS = 384


@dataclass
class MiniLM:
    """Model and tokenizer of one folder (`model.onnx`, `tokenizer.json`)."""

    folder: Path

    @cached_property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer, cut at 256 tokens, without padding."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=MAX_TOKENS)
        return tokenizer

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """The ONNX session: CPU, one thread."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self.folder / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"])

    def vector(self, text: str) -> npt.NDArray[np.float32]:
        """Mean of the last hidden states over the text's tokens: shape (384,), not normalised."""
        import numpy as np

        encoded = self.tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        names = {node.name for node in self.session.get_inputs()}
        hidden = self.session.run(None, {name: value for name, value in feed.items() if name in names})[0]
        mean: npt.NDArray[np.float32] = np.asarray(hidden, dtype=np.float32)[0].mean(axis=0)
        return mean
