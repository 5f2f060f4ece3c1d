"""Turn a GGUF file into a directory in Hugging Face's format, which is what vLLM serves.

    python convert_gguf.py MODEL.gguf DIRECTORY

Run by the Python that has vLLM, and with it transformers and gguf; this project's own environment has neither. The directory appears whole
or not at all. Weights are stored as bfloat16: a quantised file is unpacked, it does not become better.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path


def convert(gguf: Path, directory: Path) -> None:
    """Write weights, configuration, tokenizer and chat template of `gguf` into `directory`, which must not exist."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if not tokenizer.chat_template:
        raise SystemExit(f"{gguf} holds no chat template: it is no chat model")
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # transformers refuses to save a model that it has loaded from GGUF, so the weights move into a fresh one that knows nothing of it.
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
        whole = Path(folder, "model")
        fresh.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        whole.rename(directory)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
