"""Evidence: every exchange, as it was signed. Append-only by database trigger."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from bankapi.storage.append_only import APPEND_ONLY, emptied
from bankapi.storage.columns import Instant, RowId, metadata

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("exchange_id", String(26), nullable=False, unique=True),
    Column("received_at", Instant, nullable=False),
    Column("answered_at", Instant, nullable=False),
    Column("operation", String(64)),
    # The result code of an answer, or the fault code of a refusal; then `rule` names exactly what was broken.
    Column("outcome", String(32), nullable=False),
    Column("rule", String(64)),
    Column("terminal_id", RowId),
    Column("tls_fingerprint", LargeBinary(32)),
    Column("signing_fingerprint", LargeBinary(32)),
    Column("request_bytes", Integer, nullable=False),
    Column("request_digest", LargeBinary(32), nullable=False),
    Column("answer_digest", LargeBinary(32), nullable=False),
    # zlib (RFC 1950) of the bytes as received and as sent. An unverified request is kept by digest only: it
    # proves nothing about anybody, and it may hold what we must never store. Both become NULL when they have
    # been moved to an archive file; their digests, and so the tree, stay. Of a message that carries no signature
    # (Way4) they are a copy without what we must not store, and our signed receipt with such a copy of the answer.
    Column("request", LargeBinary),
    Column("answer", LargeBinary),
    # A signature is accepted once. It is looked up with the signed Created time in front, so that the index
    # grows at its end however many exchanges there are.
    Column("signed_created_at", Instant),
    Column("replay_key", LargeBinary(32)),
    UniqueConstraint("signed_created_at", "replay_key"),
    info=emptied(("request", "answer"), "OLD.id <= (SELECT max(last_row_id) FROM archives)"),
)

# Files that bodies of old exchanges were moved to.
archives = Table(
    "archives",
    metadata,
    Column("last_row_id", RowId, primary_key=True, autoincrement=False),
    Column("first_row_id", RowId, nullable=False),
    Column("archived_at", Instant, nullable=False),
    Column("file_digest", LargeBinary(32), nullable=False),
    info=APPEND_ONLY,
)

# The tree over the exchanges (RFC 9162): leaf hashes, and the hashes of complete subtrees above them.
tree_leaves = Table(
    "tree_leaves",
    metadata,
    Column("leaf_index", RowId, primary_key=True, autoincrement=False),
    Column("exchange_row_id", ForeignKey("exchanges.id"), nullable=False, unique=True),
    Column("hash", LargeBinary(32), nullable=False),
    info=APPEND_ONLY,
)

tree_nodes = Table(
    "tree_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", RowId, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    info=APPEND_ONLY,
)

# Signed tree heads, as the notes that were given away.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("tree_size", RowId, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("signed_at", Instant, nullable=False),
    Column("note", Text, nullable=False),
    info=APPEND_ONLY,
)

# Every certificate the gateway has ever signed with: what old answers and checkpoints are verified by.
signing_certificates = Table(
    "signing_certificates",
    metadata,
    Column("fingerprint", LargeBinary(32), primary_key=True),
    Column("der", LargeBinary, nullable=False),
    Column("used_from", Instant, nullable=False),
    info=APPEND_ONLY,
)
