"""Checks generated SMILES, one per line on standard input, with rdkit.

    charlstm sample molecules --samples 1000 --temp 1 --seed 1 | python3 tests/quality/molecules.py molecules.smi

Prints the shares of lines that are not empty and parse, of distinct ones among these, and of those that are not in the corpus; both by
canonical SMILES. With --validator it is a validator for `charlstm sample --check`.
"""

import json
import sys

from rdkit import Chem, RDLogger

RDLogger.DisableLog("rdApp.*")


def canonical(smiles):
    molecule = Chem.MolFromSmiles(smiles) if smiles else None
    return molecule and Chem.MolToSmiles(molecule)


if sys.argv[1] == "--validator":
    for line in sys.stdin:
        ok = canonical(json.loads(line)["text"]) is not None
        print(json.dumps({"ok": ok}), flush=True)
else:
    known = {canonical(line.strip()) for line in open(sys.argv[1])}
    lines = [line.strip() for line in sys.stdin]
    valid = [found for line in lines if line and (found := canonical(line))]
    print(f"{len(lines)} lines, valid {len(valid) / len(lines):.3f}", end="")
    print(f", unique {len(set(valid)) / len(valid):.3f}, novel {sum(m not in known for m in valid) / len(valid):.3f}")
