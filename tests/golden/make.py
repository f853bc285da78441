#!/usr/bin/env python3
"""Make lstm.json, gru.json and rnn.json: reference values for the character model, computed by PyTorch.

The model is Embedding -> L-layer LSTM, GRU or RNN -> Linear with cross-entropy, mean over all
T*B positions, in float64 on the CPU. The file holds the parameters, one window of ids,
the initial state, and the results of PyTorch: logits, loss, final state, gradients,
and the losses of ten steps of AdamW (with clipping), SGD and RMSprop, each started from the
same parameters and run on the same window from the same initial state.

Layouts, all flat and row-major (see "shapes"):
  - matrices are stored (in, out), i.e. transposed from PyTorch's; the embedding is (V, E);
  - the gates of the LSTM are the 4H columns, in PyTorch's order i f g o;
  - those of the GRU are n r z in w_ih, r z m in w_hh and n r z m in the bias: PyTorch's r z n, where m is the part of n
    that comes from the state, with a separate bias (PyTorch's b_hh of n);
  - otherwise a layer has one bias, PyTorch's b_ih; the rest of b_hh is frozen at zero and omitted;
  - inputs, targets and logits are time-major; a state is (L, B, 2H), h then c, for the LSTM, and (L, B, H) for the others.

Run:  pip install torch numpy && python make.py     (writes the files next to this script)
"""

import json
from pathlib import Path

import torch
from torch import nn

V, E, H, L, T, B = 7, 5, 6, 2, 5, 3
STEPS = 10
ADAMW = dict(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.1, clip=0.25)
CLIP_EPS = 1e-6  # clip_grad_norm_ scales by clip / (norm + 1e-6) when that is below 1
SGD = dict(lr=0.1, momentum=0.9, weight_decay=0.0)
RMSPROP = dict(lr=0.01, alpha=0.99, eps=1e-8)

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Model(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell
        self.embed = nn.Embedding(V, E)
        self.rnn = KINDS[cell](E, H, L)
        self.head = nn.Linear(H, V)
        rng = torch.Generator().manual_seed(1)
        for name, p in self.named_parameters():
            nn.init.uniform_(p, -0.5, 0.5, generator=rng) if "bias_hh" not in name else self.freeze(p, rng)

    def freeze(self, p, rng):
        """Only the GRU's n part of b_hh is trained."""
        free = torch.zeros_like(p)
        if self.cell == "gru":
            free[2 * H:] = 1
        with torch.no_grad():
            p.copy_(torch.empty_like(p).uniform_(-0.5, 0.5, generator=rng) * free if free.any() else free)
        p.register_hook(lambda grad: grad * free)

    def forward(self, ids, state):
        y, state = self.rnn(self.embed(ids), state if self.cell == "lstm" else state[0])
        return self.head(y), state if self.cell == "lstm" else (state,)

    def ours(self, of):
        """Maps our parameter names to `of(parameter)` in our layout."""
        named = {"embed.w": of(self.embed.weight)}
        for l in range(L):
            w_ih, w_hh, b_ih, b_hh = (of(getattr(self.rnn, f"{n}_l{l}")) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            if self.cell == "gru":
                r, z, n = w_ih.chunk(3)
                w_ih = torch.cat((n, r, z))
                r, z, n = b_ih.chunk(3)
                b_ih = torch.cat((n, r, z, b_hh[2 * H:]))
            named |= {f"rnn.{l}.w_ih": w_ih.T, f"rnn.{l}.w_hh": w_hh.T, f"rnn.{l}.b": b_ih}
        return named | {"head.w": of(self.head.weight).T, "head.b": of(self.head.bias)}


def flat(x):
    return x.detach().contiguous().flatten().tolist()


def cross_entropy(logits, targets):
    return nn.functional.cross_entropy(logits.reshape(-1, V), targets.reshape(-1))


def ten_losses(cell, window, make_optimizer, clip=None):
    """The loss before each of ten steps, from the initial parameters."""
    ids, targets, state = window
    model = Model(cell)
    optimizer = make_optimizer(list(model.parameters()))
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = cross_entropy(model(ids, tuple(s.detach() for s in state))[0], targets)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(loss.item())
    frozen = slice(0, 2 * H if cell == "gru" else None)
    assert all(not p[frozen].any() for n, p in model.named_parameters() if "bias_hh" in n)
    return losses


def adamw(params):
    """Weight decay on the matrices only."""
    groups = [
        dict(params=[p for p in params if p.dim() == 2], weight_decay=ADAMW["weight_decay"]),
        dict(params=[p for p in params if p.dim() == 1], weight_decay=0.0),
    ]
    betas = (ADAMW["beta1"], ADAMW["beta2"])
    return torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=betas, eps=ADAMW["eps"])


def make(cell):
    rng = torch.Generator().manual_seed(2)
    ids = torch.randint(V, (T, B), generator=rng)
    targets = torch.randint(V, (T, B), generator=rng)
    parts = "hc" if cell == "lstm" else "h"
    state = tuple(torch.empty(L, B, H).uniform_(-0.5, 0.5, generator=rng).requires_grad_() for _ in parts)
    window = ids, targets, state

    model = Model(cell)
    logits, state1 = model(ids, state)
    loss = cross_entropy(logits, targets)
    loss.backward()

    params = model.ours(lambda p: p)
    grads = model.ours(lambda p: p.grad)
    tensors = dict(
        inputs=ids,
        targets=targets,
        state0=torch.cat(state, 2),
        state1=torch.cat(state1, 2),
        logits=logits,
        grad_state0=torch.cat([s.grad for s in state], 2),
    )
    golden = dict(
        made_with=f"torch {torch.__version__}, float64, cpu",
        vocab=V, embed=E, hidden=H, layers=L, seq_len=T, batch=B,
        shapes={n: list(x.shape) for n, x in (params | tensors).items()},
        params={n: flat(p) for n, p in params.items()},
        **{n: flat(x) for n, x in tensors.items()},
        loss=loss.item(),
        grads={n: flat(g) for n, g in grads.items()},
        grad_norm=sum(g.square().sum() for g in grads.values()).sqrt().item(),
        adamw=ADAMW | dict(clip_eps=CLIP_EPS, losses=ten_losses(cell, window, adamw, ADAMW["clip"])),
        sgd=SGD | dict(losses=ten_losses(cell, window, lambda p: torch.optim.SGD(p, **SGD))),
        rmsprop=RMSPROP | dict(losses=ten_losses(cell, window, lambda p: torch.optim.RMSprop(p, **RMSPROP))),
    )
    # One array or object entry per line; floats round-trip exactly.
    lines = []
    for key, value in golden.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    Path(__file__).with_name(f"{cell}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    for kind in KINDS:
        make(kind)
