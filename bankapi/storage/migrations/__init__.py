"""Migrations: every schema a release has had, and the way from one to the next, on SQLite and PostgreSQL alike.

A revision (`versions/v0002_...py`) belongs to one of three stages, because the previous version of the program serves
while the database is upgraded, and goes on serving until its last process has been replaced:

    expand      atomic and short. Allowed: new tables, new columns that may be NULL or have a server default, triggers
                that fill in for the previous version what it does not know (`_bridge`), constraints of PostgreSQL that
                are NOT VALID. Not allowed: whatever makes a statement of the previous version fail or mean something
                else (dropping, renaming, narrowing, NOT NULL, a unique key over rows it writes), and whatever takes
                longer the more rows there are, because the table is locked meanwhile.
    online      long, beside the load: rows are filled in small transactions, indexes of PostgreSQL are built
                CONCURRENTLY. Every step can be repeated; the revision counts as done when all of it is. A stop in
                between leaves the schema of the revision before it, with some of the rows filled.
    contract    atomic, once no process of the previous version is left: NOT NULL, foreign keys, the bridges removed.
                SQLite makes a table anew for that, and writers wait as long as it takes.

`bankapi database upgrade` does expand and online, `bankapi database upgrade --contract` what is left. The program works
before and after the contraction (`schema.ACCEPTED`). A process of the previous version that runs already goes on; it
cannot be started again on an upgraded database. There is no way down: facts are never taken away. To go back, restore a
backup.

A revision states its schema itself and imports nothing that will change: no tables of the program, no triggers of
`storage.append_only`. Tests compare the last one with the tables that are declared.
"""
