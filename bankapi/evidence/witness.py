"""What a witness does with checkpoints: verify each new one against the last it kept, and keep it.

A checkpoint travels with the proof that its tree begins with an older one, as a text:

    <the note, as it was signed>
    <an empty line>
    bankapi-consistency-v1 <the older size>
    <one hash of the proof per line, in base64, in the order of RFC 9162 section 2.1.4.1>

The note alone is a valid text, too: the first one a witness gets needs no proof. Needs no database.
"""

import base64
import re
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from bankapi.evidence import checkpoints, sealing, tree
from bankapi.evidence.checkpoints import Checkpoint, CheckpointError
from bankapi.evidence.tree import ProofError
from bankapi.evidence.tree_audit import is_signed_by

PROOF: Final = "bankapi-consistency-v1"
_PROOF_LINE: Final = re.compile(rf"{PROOF} ([1-9][0-9]{{0,18}})", re.ASCII)
_PROOF_HASHES_MAX: Final = 128


class WitnessRefused(Exception):
    """This checkpoint is not kept; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A checkpoint, and the proof that it continues an older one."""

    checkpoint: Checkpoint
    old_size: int | None = None
    proof: tuple[bytes, ...] = ()

    def text(self) -> str:
        if self.old_size is None:
            return self.checkpoint.note
        hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in self.proof)
        return f"{self.checkpoint.note}\n{PROOF} {self.old_size}\n{hashes}"


def parse(text: str) -> Attestation:
    """Read a checkpoint with or without its proof; CheckpointError when it is neither."""
    note, is_proved, rest = text.partition(f"\n\n{PROOF} ")
    if not is_proved:
        return Attestation(checkpoints.parse(text))
    head, *lines = f"{PROOF} {rest}".split("\n")
    found = _PROOF_LINE.fullmatch(head)
    if found is None or not lines or lines.pop() != "" or len(lines) > _PROOF_HASHES_MAX:
        raise CheckpointError("not a consistency proof")
    return Attestation(checkpoints.parse(f"{note}\n"), int(found[1]), tuple(_hash(line) for line in lines))


def attest(connection: Connection, checkpoint: Checkpoint, old_size: int | None) -> Attestation:
    """A checkpoint of ours with the proof that it continues our tree of an older size."""
    if old_size is None or old_size == 0:
        return Attestation(checkpoint)
    if old_size > checkpoint.size:
        raise WitnessRefused(f"the newest checkpoint is of size {checkpoint.size}")
    proof = tree.consistency_proof(old_size, checkpoint.size, sealing.stored_hashes(connection))
    return Attestation(checkpoint, old_size, tuple(proof))


def accept(attestation: Attestation, kept: Checkpoint | None, certificates: Iterable[x509.Certificate]) -> None:
    """WitnessRefused unless the gateway has signed it and it continues what was kept."""
    new = attestation.checkpoint
    if not is_signed_by(new, certificates):
        raise WitnessRefused("bad signature: no given certificate's key has signed this checkpoint")
    if kept is None:
        return
    if new.origin != kept.origin:
        raise WitnessRefused(f"another journal: {new.origin}, not {kept.origin}")
    if new.size < kept.size:
        raise WitnessRefused(f"rollback: it has {new.size} exchanges, the last one kept has {kept.size}")
    if new.size == kept.size:
        if new.root != kept.root:
            raise WitnessRefused(f"fork: two different journals of {new.size} exchanges are signed")
        return
    if attestation.old_size != kept.size:
        raise WitnessRefused(f"no proof that it continues the one kept; ask for it with --since {kept.size}")
    try:
        tree.check_consistency(kept.size, kept.root, new.size, new.root, attestation.proof)
    except ProofError as error:
        raise WitnessRefused(f"fork: it does not continue the journal of {kept.size} exchanges ({error})") from error


def last_kept(folder: Path) -> Checkpoint | None:
    """The largest checkpoint in a witness's folder."""
    found = [checkpoints.parse(file.read_text(encoding="utf-8")) for file in folder.glob("checkpoint-*.txt")]
    return max(found, key=lambda checkpoint: checkpoint.size, default=None)


def keep(folder: Path, checkpoint: Checkpoint) -> Path:
    """Keep one that was accepted, whole or not at all; an older one is never overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"checkpoint-{checkpoint.size:020d}.txt"
    if not file.exists():
        new = file.with_suffix(".new")
        new.write_text(checkpoint.note, encoding="utf-8", newline="")
        new.replace(file)
    return file


def read_all(files: Sequence[Path]) -> list[Checkpoint]:
    """Checkpoints from files; CheckpointError names the file that is none."""
    found = []
    for file in files:
        try:
            found.append(parse(file.read_bytes().decode("utf-8")).checkpoint)
        except (CheckpointError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{file}: {error}") from error
    return found


def _hash(line: str) -> bytes:
    try:
        value = base64.b64decode(line, validate=True)
    except (Base64Error, ValueError) as error:
        raise CheckpointError("not a consistency proof") from error
    if len(value) != 32 or base64.b64encode(value).decode() != line:
        raise CheckpointError("not a consistency proof")
    return value
