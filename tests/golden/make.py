#!/usr/bin/env python3
"""Make lstm.json: golden numbers for the character LSTM, with PyTorch as the measuring stick.

The model is Embedding -> L-layer LSTM -> Linear with cross-entropy, mean over all
T*B positions, in float64 on the CPU. The file holds the parameters, one window of ids,
the initial state, and what PyTorch gets from them: logits, loss, final state, gradients,
and the losses of ten steps of AdamW (with clipping), SGD and RMSprop, each begun from the
same parameters and run on the same window from the same initial state.

Layouts, all flat and row-major (see "shapes"):
  - matrices are stored (in, out), i.e. transposed from PyTorch's; the embedding is (V, E);
  - the four gates lie along the 4H columns in PyTorch's order, i f g o;
  - a layer has one bias: PyTorch's b_ih. Its b_hh is frozen at zero and left out;
  - inputs, targets and logits are time-major; a state is (L, B, 2H), h then c.

Run:  pip install torch numpy && python make.py     (writes lstm.json beside this script)
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


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, E)
        self.rnn = nn.LSTM(E, H, L)
        self.head = nn.Linear(H, V)
        rng = torch.Generator().manual_seed(1)
        for name, p in self.named_parameters():
            if "bias_hh" in name:
                nn.init.zeros_(p).requires_grad_(False)
            else:
                nn.init.uniform_(p, -0.5, 0.5, generator=rng)

    def forward(self, ids, h0, c0):
        y, state = self.rnn(self.embed(ids), (h0, c0))
        return self.head(y), state

    def ours(self):
        """Our name -> (PyTorch's parameter, whether we store it transposed)."""
        named = {"embed.w": (self.embed.weight, False)}
        for l in range(L):
            named[f"rnn.{l}.w_ih"] = (getattr(self.rnn, f"weight_ih_l{l}"), True)
            named[f"rnn.{l}.w_hh"] = (getattr(self.rnn, f"weight_hh_l{l}"), True)
            named[f"rnn.{l}.b"] = (getattr(self.rnn, f"bias_ih_l{l}"), False)
        named["head.w"] = (self.head.weight, True)
        named["head.b"] = (self.head.bias, False)
        return named

    def trained(self):
        return [p for p, _ in self.ours().values()]


def flat(x):
    return x.detach().contiguous().flatten().tolist()


def cross_entropy(logits, targets):
    return nn.functional.cross_entropy(logits.reshape(-1, V), targets.reshape(-1))


def ten_losses(window, make_optimizer, clip=None):
    """The loss before each of ten steps, from the initial parameters."""
    ids, targets, h0, c0 = window
    model = Model()
    optimizer = make_optimizer(model.trained())
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = cross_entropy(model(ids, h0.detach(), c0.detach())[0], targets)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.trained(), clip)
        optimizer.step()
        losses.append(loss.item())
    assert all(not p.any() for n, p in model.named_parameters() if "bias_hh" in n)
    return losses


def adamw(params):
    """Weight decay on the matrices only."""
    groups = [
        dict(params=[p for p in params if p.dim() == 2], weight_decay=ADAMW["weight_decay"]),
        dict(params=[p for p in params if p.dim() == 1], weight_decay=0.0),
    ]
    betas = (ADAMW["beta1"], ADAMW["beta2"])
    return torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=betas, eps=ADAMW["eps"])


def main():
    rng = torch.Generator().manual_seed(2)
    ids = torch.randint(V, (T, B), generator=rng)
    targets = torch.randint(V, (T, B), generator=rng)
    h0, c0 = (torch.empty(L, B, H).uniform_(-0.5, 0.5, generator=rng).requires_grad_() for _ in "hc")
    window = ids, targets, h0, c0

    model = Model()
    logits, (h1, c1) = model(ids, h0, c0)
    loss = cross_entropy(logits, targets)
    loss.backward()

    params = {n: p.T if t else p for n, (p, t) in model.ours().items()}
    grads = {n: p.grad.T if t else p.grad for n, (p, t) in model.ours().items()}
    tensors = dict(
        inputs=ids,
        targets=targets,
        state0=torch.cat((h0, c0), 2),
        state1=torch.cat((h1, c1), 2),
        logits=logits,
        grad_state0=torch.cat((h0.grad, c0.grad), 2),
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
        adamw=ADAMW | dict(clip_eps=CLIP_EPS, losses=ten_losses(window, adamw, ADAMW["clip"])),
        sgd=SGD | dict(losses=ten_losses(window, lambda p: torch.optim.SGD(p, **SGD))),
        rmsprop=RMSPROP | dict(losses=ten_losses(window, lambda p: torch.optim.RMSprop(p, **RMSPROP))),
    )
    # One array or object entry to a line; Python prints floats so that they read back exactly.
    lines = []
    for key, value in golden.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    Path(__file__).with_name("lstm.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
