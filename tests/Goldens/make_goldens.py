#!/usr/bin/env python3
"""Computes a Qwen3 folder in float64 with NumPy, a whole sequence at once and without a cache, from its stored weights.

    make_goldens.py FOLDER ...            compares with the goldens in each folder, and prints the largest difference
    make_goldens.py --write FOLDER ...    writes golden.safetensors and golden.json; ids are kept where they exist, else drawn (seed 0)

Shares no code with the runtime: it reads config.json and *.safetensors itself.
"""
import glob
import json
import math
import os
import struct
import sys

import numpy as np

LENGTHS = (1, 7, 33, 130, 300)
GREEDY = 32                                             # tokens of a greedy continuation, whatever they are
TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I32": np.int32}


def read(path):
    """Tensors of a safetensors file, BF16 widened to float32."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(data[begin:end], np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def write(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        dtype = next(d for d, t in TYPES.items() if values.dtype == t)
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(np.ascontiguousarray(values).tobytes())


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def silu(x):
    return x / (1 + np.exp(-x))


class Model:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json")) as file:
            self.c = json.load(file)
        self.w = {}
        for path in sorted(glob.glob(os.path.join(folder, "model*.safetensors"))):
            self.w.update({name: values.astype(np.float64) for name, values in read(path).items()})
        self.layers = self.c["num_hidden_layers"]
        self.frequencies, self.factor = self.rope()

    def rope(self):
        """Inverse frequencies (head_dim / 2,) and the factor of cosines and sines; YaRN where the config has it."""
        c, dim = self.c, self.c["head_dim"]
        p = c.get("rope_parameters") or c.get("rope_scaling") or {}
        theta = p.get("rope_theta", c.get("rope_theta"))
        plain = theta ** -(np.arange(0, dim, 2) / dim)
        if p.get("rope_type", p.get("type")) != "yarn":
            return plain, 1.0
        scale, original = p["factor"], p["original_max_position_embeddings"]

        def bound(rotations):                           # the dimension that turns so often within the original context
            return dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(theta))

        low = max(math.floor(bound(p.get("beta_fast", 32))), 0)
        high = min(math.ceil(bound(p.get("beta_slow", 1))), dim - 1)
        ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 1e-3), 0, 1)
        return plain / scale * ramp + plain * (1 - ramp), p.get("attention_factor") or 0.1 * math.log(scale) + 1

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["rms_norm_eps"]) * self.w[name]

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def rotate(self, x):
        """(T, heads, head_dim): the first half of a head is turned with the second."""
        angle = np.arange(len(x))[:, None, None] * self.frequencies
        cos, sin = np.cos(angle) * self.factor, np.sin(angle) * self.factor
        a, b = np.split(x, 2, -1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, x, p):
        c, t = self.c, len(x)
        q, k, v = (self.linear(x, f"{p}.{n}_proj").reshape(t, -1, c["head_dim"]) for n in "qkv")
        q, k = self.rotate(self.norm(q, p + ".q_norm.weight")), self.rotate(self.norm(k, p + ".k_norm.weight"))
        group = q.shape[1] // k.shape[1]                # query heads that share a key-value head
        k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
        scores = np.einsum("thd,shd->hts", q, k) / math.sqrt(c["head_dim"])
        scores[:, np.triu(np.ones((t, t), bool), 1)] = -np.inf
        return self.linear(np.einsum("hts,shd->thd", softmax(scores), v).reshape(t, -1), p + ".o_proj")

    def swiglu(self, x, p):
        return self.linear(silu(self.linear(x, p + ".gate_proj")) * self.linear(x, p + ".up_proj"), p + ".down_proj")

    def experts(self, x, p, chosen):
        probabilities = softmax(self.linear(x, p + ".gate"))
        best = np.argsort(-probabilities, -1, kind="stable")[:, : self.c["num_experts_per_tok"]]
        shares = np.take_along_axis(probabilities, best, -1)
        if self.c["norm_topk_prob"]:
            shares /= shares.sum(-1, keepdims=True)
        y = np.zeros_like(x)
        for e in np.unique(best):
            token, slot = np.nonzero(best == e)
            y[token] += shares[token, slot, None] * self.swiglu(x[token], f"{p}.experts.{e}")
        chosen.append(best.astype(np.int32))
        return y

    def forward(self, ids):
        """ids (T,) -> logits (T, vocabulary), the last position's states (layers + 2, hidden), chosen experts (MoE layers, T, k)."""
        c = self.c
        x = self.w["model.embed_tokens.weight"][ids]
        states, chosen = [x[-1]], []
        for i in range(self.layers):
            p = f"model.layers.{i}"
            x = x + self.attention(self.norm(x, p + ".input_layernorm.weight"), p + ".self_attn")
            y = self.norm(x, p + ".post_attention_layernorm.weight")
            sparse = c.get("num_experts") and i not in c.get("mlp_only_layers", []) and (i + 1) % c.get("decoder_sparse_step", 1) == 0
            x = x + (self.experts(y, p + ".mlp", chosen) if sparse else self.swiglu(y, p + ".mlp"))
            states.append(x[-1])
        x = self.norm(x, "model.norm.weight")
        head = self.w["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"]
        return x @ head.T, np.stack(states + [x[-1]]), chosen

    def golden(self, ids):
        logits, states, chosen = self.forward(ids)
        top = np.argsort(-logits, -1, kind="stable")[:, :8]
        result = {"ids": np.array(ids, np.int32), "top_ids": top.astype(np.int32), "top_logits": np.take_along_axis(logits, top, -1),
                  "last_logits": logits[-1], "states": states}
        if chosen:
            result["experts"] = np.stack(chosen)
        return result

    def greedy(self, prompt, count=GREEDY):
        ids, gap = list(prompt), math.inf
        for _ in range(count):
            last = self.forward(ids)[0][-1]
            second, best = np.partition(last, -2)[-2:]
            gap = min(gap, best - second)
            ids.append(int(last.argmax()))
        return {"tokens": ids[len(prompt):], "smallest_gap": gap}


def sequences(path, vocabulary):
    """The ids of the goldens that exist; where there are none, sequences drawn with seed 0."""
    if os.path.exists(path):
        return {name[:-4]: values for name, values in read(path).items() if name.endswith(".ids")}
    draw = np.random.default_rng(0)
    return {f"random-{n}": draw.integers(0, vocabulary, n, dtype=np.int32) for n in LENGTHS}


def compare(folder):
    model, old = Model(folder), read(os.path.join(folder, "golden.safetensors"))
    largest, positions, best, same = {"logits": 0.0, "states": 0.0}, 0, 0, True
    for name in sequences(os.path.join(folder, "golden.safetensors"), 0):
        ids = old[name + ".ids"]
        logits, states, chosen = model.forward(ids)
        at = np.take_along_axis(logits, old[name + ".top_ids"], -1)
        differences = max(abs(at - old[name + ".top_logits"]).max(), abs(logits[-1] - old[name + ".last_logits"]).max())
        largest["logits"] = max(largest["logits"], differences)
        largest["states"] = max(largest["states"], abs(states - old[name + ".states"]).max())
        positions += len(ids)
        best += int((logits.argmax(-1) == old[name + ".top_ids"][:, 0]).sum())
        same &= not chosen or bool((np.stack(chosen) == old[name + ".experts"]).all())
    with open(os.path.join(folder, "golden.json")) as file:
        stored = json.load(file)
    continuations = [(one["prompt"], one["tokens"]) for one in stored["greedy"]]
    chat = os.path.join(folder, "chat.json")
    if os.path.exists(chat):
        with open(chat) as file:
            continuations += [(one["prompt_ids"], one["ids"]) for one in json.load(file)]
    right = sum(model.greedy(prompt, len(ids))["tokens"] == ids for prompt, ids in continuations)
    print(f"{os.path.basename(folder)}: logits {largest['logits']:.1e}, states {largest['states']:.1e}, best token {best} of {positions}, "
          f"experts {'the same' if same else 'DIFFERENT'}, greedy {right} of {len(continuations)}", flush=True)
    return largest["logits"] < 1e-3 and largest["states"] < 5e-4 and best == positions and same and right == len(continuations)


def make(folder):
    model, path = Model(folder), os.path.join(folder, "golden.safetensors")
    tensors, greedy = {}, []
    for name, ids in sequences(path, model.c["vocab_size"]).items():
        for part, values in model.golden(ids).items():
            tensors[f"{name}.{part}"] = values.astype(np.float32) if values.dtype == np.float64 else values
        if len(ids) <= 130:
            greedy.append({"name": name, "prompt": ids.tolist(), **model.greedy(ids.tolist())})
    write(path, tensors)
    golden = {"compute": "float64 from the stored weights", "layers": model.layers, "vocab_size": model.c["vocab_size"], "greedy": greedy}
    if model.factor != 1:
        golden["yarn"] = {"attention_factor": model.factor, "inv_freq": model.frequencies.tolist()}
    with open(os.path.join(folder, "golden.json"), "w") as file:
        json.dump(golden, file, indent=1)
    print(f"{path}: {len(tensors)} tensors")
    return True


def main():
    folders = [f.rstrip("/") for f in sys.argv[1:] if f != "--write"]
    if not folders:
        sys.exit(__doc__)
    work = make if "--write" in sys.argv else compare
    sys.exit(0 if all([work(folder) for folder in folders]) else 1)


if __name__ == "__main__":
    main()
